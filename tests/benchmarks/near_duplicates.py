"""How the search for near-duplicates grows: python -m tests.benchmarks.near_duplicates [--radius 15].

Random 256-bit hashes, a tenth of them neighbours planted within the radius, 100,000 and then a million of them; and
20,000 hashes that are all near each other, as the frames of one shot are.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from pipeline.images.hash_index import keepers


def planted(count: int, radius: int) -> np.ndarray:
    """(count, 32) uint8; the last tenth differ from earlier rows in up to `radius` bits."""
    rng = np.random.default_rng(count)
    rows = rng.integers(0, 256, (count, 32), dtype=np.uint8)
    copies = np.arange(count - count // 10, count)
    bits = np.unpackbits(rows[copies - count // 2], axis=1)
    for _ in range(radius):
        bits[np.arange(len(copies)), rng.integers(0, 256, len(copies))] ^= 1
    rows[copies] = np.packbits(bits, axis=1)
    return rows


def crowded(count: int, radius: int) -> np.ndarray:
    """(count, 32) uint8, all within the radius of each other."""
    rng = np.random.default_rng(count)
    bits = np.zeros((count, 256), dtype=np.uint8)
    for _ in range(radius // 2):
        bits[np.arange(count), rng.integers(0, 256, count)] = 1
    return np.packbits(bits, axis=1)


def always(row: int, others: np.ndarray) -> np.ndarray:
    return np.ones(len(others), dtype=bool)


def searched(make: Callable[[int, int], np.ndarray], count: int, radius: int) -> tuple[float, float, int]:
    """Seconds, peak memory above what the hashes need in MB, and rows dropped; called in a process of its own."""
    rows = make(count, radius)
    before, peak, done = _memory(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], _memory() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    keeper, _ = keepers(rows, radius, always, np.ones(count, dtype=bool))
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    return seconds, peak[0], int((keeper != np.arange(count)).sum())


def _memory() -> float:
    """Resident memory in MB; 0 where the system does not tell it."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * 4096 / 1e6 if status.exists() else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--radius", type=int, default=15)
    radius = parser.parse_args().radius
    rows = []
    for name, make, count in (
        ("spread", planted, 100_000),
        ("spread", planted, 1_000_000),
        ("crowded", crowded, 20_000),
    ):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as child:
            rows.append((name, count, *child.submit(searched, make, count, radius).result()))
    print(f"{'':<8} {'hashes':>9} {'seconds':>8} {'peak MB':>8} {'dropped':>8}   within {radius} of 256 bits")
    for name, count, seconds, peak, dropped in rows:
        print(f"{name:<8} {count:>9} {seconds:8.2f} {peak:8.0f} {dropped:8}")
    print(f"ten times the hashes take {rows[1][2] / rows[0][2]:.1f} times the seconds")


if __name__ == "__main__":
    main()
