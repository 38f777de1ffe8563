"""How long a run takes to its first batch when all is cached, and how plan and start grow with the set.

python -m tests.benchmarks.start [--images 1000 10000 100000]: for sets of so many made-up images with a regularization
image each, whose latents all lie in the cache, prints seconds of `prep train --dry-run`'s plan, of reading the record,
of judging the cache, and of the first batch. The files of latents are sparse, right in name and length, as a start
looks at no more.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.cli.main import COLLECT_AFTER
from pipeline.stages import train
from pipeline.store.manifest import Manifest
from pipeline.store.records import Image
from pipeline.store.values.bucket import Bucket
from pipeline.store.values.regularization import RegularizationAssignment, RegularizationImage
from pipeline.store.values.repeats import Repeats
from tests.pipeline.decided import decided, scored, trigger
from train.data.batches import planned_batches
from train.data.dataset import Example, examples
from train.data.latent_cache import LatentCache
from train.data.latent_files import file_bytes, latent_file
from train.models.base import BaseModel
from train.models.load import load_base
from train.options.recipe import Recipe, make_recipe

SIZES = [(64, 64), (56, 72), (72, 56), (48, 80), (80, 48), (40, 96), (96, 40), (64, 56)]
TAGS = [f"tag number {number}" for number in range(400)]


def made_up(manifest: Manifest, count: int) -> None:
    """Images in 400 concepts with 20 tags each, and a regularization image for each that was hashed before."""
    draw, images, rows, files = np.random.default_rng(0), [], [], []
    chosen = draw.integers(0, len(TAGS), (count, 20))
    (manifest.root / "regularization" / "x").mkdir(parents=True)
    for number in range(count):
        concept = f"c{number % 400}"
        path, reg_image = f"images/{concept}/{number:06}.png", f"regularization/x/{number:06}.png"
        content = hashlib.sha256(path.encode()).hexdigest()
        images.append(Image(path, concept, path, content, 1, "copy"))
        width, height = SIZES[number % len(SIZES)]
        tags = [TAGS[place] for place in chosen[number]]
        bucket = Bucket((width, height), (width, height), (0, 0, width, height))
        with_caption = RegularizationAssignment(
            (RegularizationImage(reg_image, ", ".join(tags), (width, height), 420),)
        )
        rows += [
            decided(path, "bucket", bucket),
            decided(path, "caption", ", ".join((concept, *tags))),
            decided(path, "tags", [trigger(concept), *map(scored, tags)]),
            decided(path, "repeats", Repeats(1 + number % 7 / 3, 1)),
            decided(path, "regularization", with_caption),
        ]
        (manifest.root / reg_image).write_bytes(b"")
        files.append(
            (
                reg_image,
                0,
                (manifest.root / reg_image).stat().st_mtime_ns,
                hashlib.sha256(reg_image.encode()).hexdigest(),
            )
        )
    with manifest.transaction():
        run = manifest.begin_run("made up", {})
        manifest.put_images(images)
        manifest.put_files(files)
        manifest.put_decisions(run, ("bucket", "caption", "tags", "repeats", "regularization"), rows)
        manifest.finish_run(run, {})


def filled(cache: LatentCache, folder: Path, found: tuple[Example, ...]) -> None:
    """Lay an empty file of the right name and length in the cache for every image."""
    images = [image for example in found for image in example.images()]
    for number in range(256):
        (folder / f"{number:02x}").mkdir(parents=True)
    for image in images:
        file = latent_file(folder, cache.name(image))
        descriptor = os.open(file, os.O_CREAT | os.O_WRONLY)
        os.truncate(descriptor, file_bytes(cache.shape(image)))
        os.close(descriptor)


def seconds(action: Callable[[], Any]) -> tuple[Any, float, float]:
    """(result, seconds on the clock, of the processor)"""
    start, busy = time.perf_counter(), time.process_time()
    result = action()
    return result, time.perf_counter() - start, time.process_time() - busy


def quiet(what: str, done: int, total: int) -> None:
    assert total == 0, "something was not cached"


def measure(count: int, base: BaseModel, recipe: Recipe) -> None:
    with tempfile.TemporaryDirectory() as scratch, Manifest.open(Path(scratch) / "set", create=True) as manifest:
        made_up(manifest, count)
        folder = manifest.root / "cache" / "latents"
        filled(LatentCache(folder, base), folder, examples(manifest, recipe.dataset))
        gc.collect()
        _, plan, plan_busy = seconds(lambda: train.plan(manifest, recipe))
        found, read, read_busy = seconds(lambda: examples(manifest, recipe.dataset))
        cache = LatentCache(folder, base)
        images = [image for example in found for image in example.images()]
        _, judged, judged_busy = seconds(lambda: cache.fill(images, quiet))
        _, first, first_busy = seconds(lambda: next(planned_batches(recipe.batches, recipe.run.seed, found, 0)))
        clock, busy = read + judged + first, read_busy + judged_busy + first_busy
    columns = (plan, read, judged, first, clock, plan_busy, busy)
    print(f"{count:>9} " + " ".join(f"{each:>12.2f}" for each in columns), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10_000, 100_000])
    asked = parser.parse_args()
    gc.set_threshold(*COLLECT_AFTER)  # as prep does
    base = load_base("miniature", device="cpu")
    names = ("plan s", "record s", "cache s", "batch s", "start s", "plan proc.", "start proc.")
    print(f"{'images':>9} " + " ".join(f"{name:>12}" for name in names))
    for count in asked.images:
        measure(count, base, make_recipe(base="miniature", epochs=10, device="cpu"))


if __name__ == "__main__":
    main()
