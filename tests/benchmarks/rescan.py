"""How long an unchanged set takes to be looked at again, and how much memory that needs: python -m tests.benchmarks.rescan

Every image has content of its own: one small JPEG with a number behind its end, which decoders pass over.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image


def plant(folder: Path, images: int, concepts: int) -> None:
    """That many small JPEGs in that many folders."""
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize((128, 128)).save(buffer, "JPEG", quality=80)
    for number in range(images):
        file = folder / f"artists/a{number % concepts}/{number:06}.jpg"
        if number < concepts:
            file.parent.mkdir(parents=True)
        file.write_bytes(buffer.getvalue() + number.to_bytes(4, "big"))


def prep(*arguments: object) -> tuple[float, float]:
    """Seconds and peak memory in MB of one command in a process of its own."""
    begun = time.perf_counter()
    child = os.posix_spawn(
        sys.executable, [sys.executable, "-m", "pipeline", *map(str, arguments)], os.environ, file_actions=_silent()
    )
    _, status, usage = os.wait4(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, arguments
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return time.perf_counter() - begun, usage.ru_maxrss / scale


def _silent() -> list[tuple[int, ...]]:
    null = os.open(os.devnull, os.O_WRONLY)
    return [(os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, null, 2)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--concepts", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        source, root = Path(place) / "source", Path(place) / "set"
        plant(source, options.images, options.concepts)
        steps = [("flatten", source, root), ("check", root, "--duplicate-distance", -1)]
        steps += [("flatten", root), ("check", root, "--duplicate-distance", -1), ("status", root)]
        print(f"{options.images} images in {options.concepts} concepts")
        for number, step in enumerate(steps):
            seconds, megabytes = prep(*step)
            again = "again, unchanged" if number > 1 else "first"
            print(f"{step[0]:8} {again:18} {seconds:8.2f} s {megabytes:8.0f} MB")


if __name__ == "__main__":
    main()
