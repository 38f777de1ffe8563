"""What flatten and check cost beside bare decoding: python -m tests.benchmarks.decode [--images 20000].

Paints JPEGs of photographic detail, then times, in one run and with the same number of threads, (a) Pillow's open, load
and convert, and (b) prep's flatten and check of the same files, from the first look at the folder to the last decision.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from pipeline.stages import check, flatten
from pipeline.store.manifest import Manifest
from pipeline.store.running.runner import run_stage

SIDE = 1024
GRAIN = ((4, 60.0), (16, 30.0), (64, 20.0), (256, 12.0), (SIDE, 6.0))
"""Cells per side and strength of the noise at each scale: soft light down to film grain."""


def paint(file: Path, seed: int) -> None:
    """A JPEG of 1024×1024 pixels, quality 90, of about 300 kB."""
    rng = np.random.default_rng(seed)
    colours = np.full((SIDE, SIDE, 3), 128, np.float32)
    for cells, strength in GRAIN:
        noise = rng.normal(0, strength, (cells, cells, 3)).astype(np.float32)
        colours += cv2.resize(noise, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8)).save(file, quality=90)


def decode_barely(file: Path) -> tuple[int, int]:
    with Image.open(file) as image:
        image.load()
        return image.convert("RGB").size


def timed(work: Callable[[], object]) -> np.ndarray:
    """(2,) seconds by the clock and of the processor; the latter hardly hear of other programs that run meanwhile."""
    start = np.array([time.perf_counter(), time.process_time()])
    work()
    return np.array([time.perf_counter(), time.process_time()]) - start


def prepare(folder: Path, root: Path) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of flatten and of check."""
    with Manifest.open(root, create=True) as manifest:
        sources = flatten.Options(sources=(str(folder),))
        flattening = timed(lambda: run_stage(manifest, flatten.STAGE, sources, lambda *_: None))
        checking = timed(lambda: run_stage(manifest, check.STAGE, check.Options(), lambda *_: None))
        assert len(manifest.measurements()) == len(manifest.images()) == len(list(folder.iterdir()))
    return flattening, checking


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=min(8, os.cpu_count() or 1))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "pictures"
        folder.mkdir()
        files = [folder / f"{seed:06}.jpg" for seed in range(asked.images)]
        with ThreadPoolExecutor(asked.threads) as threads:
            list(threads.map(paint, files, range(len(files))))
            before = timed(lambda: list(threads.map(decode_barely, files)))
            flattening, checking = prepare(folder, Path(scratch) / "set")
            after = timed(lambda: list(threads.map(decode_barely, files)))
    bare = (before + after) / 2
    print(f"{asked.images} JPEGs of {SIDE}×{SIDE}, {asked.threads} threads")
    print(f"{'':<18} {'seconds':>9} {'ms each':>9} {'times bare':>11} {'processor s':>12} {'times bare':>11}")
    for name, spent in (
        ("bare decoding", bare),
        ("flatten", flattening),
        ("check", checking),
        ("flatten and check", flattening + checking),
    ):
        (clock, processor), (slower, costlier) = spent, spent / bare
        each = clock / asked.images * 1000
        print(f"{name:<18} {clock:9.2f} {each:9.2f} {slower:11.2f} {processor:12.2f} {costlier:11.2f}")


if __name__ == "__main__":
    main()
