"""How long planning again takes for a set of 100,000 measured images: python tests/benchmarks/replan.py [IMAGES]

Prints seconds of `bucket.plan` and `balance.plan` alone, and of running both stages with everything recorded.
"""

from __future__ import annotations

import gc
import hashlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.cli.main import COLLECT_AFTER
from pipeline.images.buckets.detail_profile import STRIPS
from pipeline.stages import balance, bucket
from pipeline.store.manifest import Manifest
from pipeline.store.records import Image, Measurement
from pipeline.store.running.runner import run_stage

CONCEPTS = 400


def imgs(count: int) -> tuple[list[Image], list[Measurement]]:
    """Images of aspect ratios 0.4 to 2.5, few of the same size, with a detail profile each."""
    draw = np.random.default_rng(0)
    aspects = np.exp(draw.uniform(np.log(0.4), np.log(2.5), count))
    sides = np.sqrt(draw.uniform(400_000, 4_000_000, count))
    profiles = draw.integers(0, 256, (count, 2 * STRIPS), np.uint8)
    images, measured = [], []
    for number, (aspect, side, profile) in enumerate(zip(aspects, sides, profiles, strict=True)):
        content = hashlib.sha256(str(number).encode()).hexdigest()
        concept = f"characters/c{number % CONCEPTS}"
        path = f"images/characters~c{number % CONCEPTS}/{number:06d}.jpg"
        images.append(Image(path, concept, f"/pictures/{number}.jpg", content, 100_000, "hardlink"))
        width, height = round(side * aspect**0.5), round(side / aspect**0.5)
        measured.append(Measurement(content, width, height, "JPEG", "RGB", focus=profile.tobytes().hex()))
    return images, measured


def seconds(action: Callable[[], Any]) -> tuple[float, float]:
    """(on the clock, of the processor): the second is the one to compare on a machine that does other things too."""
    start, busy = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - start, time.process_time() - busy


def quiet(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def main(count: int) -> None:
    gc.set_threshold(*COLLECT_AFTER)  # as prep does
    images, measured = imgs(count)
    with tempfile.TemporaryDirectory() as folder, Manifest.open(Path(folder) / "set", create=True) as manifest:
        with manifest.transaction():
            manifest.put_images(images)
            manifest.put_measurements(measured)
        del images, measured  # what a stage reads is all that there is in memory when it runs
        middle, subject = bucket.Options(batch_size=4), bucket.Options(batch_size=4, anchor="subject")
        small = bucket.Options(batch_size=4, upscale=False)
        timed = {
            "bucket.plan": lambda: bucket.plan(manifest, middle),
            "bucket.plan, subject": lambda: bucket.plan(manifest, subject),
            "bucket.plan, no enlarging": lambda: bucket.plan(manifest, small),
            "balance.plan": lambda: balance.plan(manifest, balance.Options()),
            "run balance, first": lambda: run_stage(manifest, balance.STAGE, balance.Options(), quiet),
            "run bucket, first": lambda: run_stage(manifest, bucket.STAGE, middle, quiet),
            "run bucket, up to date": lambda: run_stage(manifest, bucket.STAGE, middle, quiet),
            "bucket.plan with repeats": lambda: bucket.plan(manifest, middle),
            "run bucket again, subject": lambda: run_stage(manifest, bucket.STAGE, subject, quiet),
        }
        print(f"{count} images\n   clock  processor")
        for name, action in timed.items():
            clock, processor = seconds(action)
            print(f"{clock:6.2f} s  {processor:6.2f} s  {name}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
