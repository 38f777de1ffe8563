"""Measuring many images at once, in threads, so that what is done stays done."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from pipeline.store.manifest import Manifest
from pipeline.store.records import Measurement
from pipeline.store.running.stage import ProgressCallback

BATCH = 64
AHEAD = 128
"""Images handed to the threads before the first of them is waited for, so that no thread waits for a batch."""


def measured_on(manifest: Manifest, background: str) -> set[str]:
    """Contents that need not be measured again: by this prep, and if they are transparent, on this background."""
    known = manifest.measured("coding", "transparent", "background", "problem")
    return {
        content
        for content, (coding, transparent, below, problem) in known.items()
        if (coding or problem) and (not transparent or below == background)
    }


def measure_all(
    manifest: Manifest,
    threads: ThreadPoolExecutor,
    todo: Mapping[str, Path],
    background: str,
    progress: ProgressCallback,
) -> None:
    """Measure contents (content → a file that holds it) and store a batch at a time; an unreadable file has no content."""
    from pipeline.core.decoding.image_io import UnreadableImage
    from pipeline.images.measurement import measure_image

    def one(content: str, path: Path) -> Measurement | None:
        try:
            return measure_image(path, content, background)
        except UnreadableImage:
            return None

    def running() -> Iterator[Future[Measurement | None]]:
        started: deque[Future[Measurement | None]] = deque()
        for content, path in todo.items():
            started.append(threads.submit(one, content, path))
            if len(started) > AHEAD:
                yield started.popleft()
        yield from started

    batch: list[Measurement] = []
    for done, future in enumerate(running(), 1):
        found = future.result()
        batch += [found] if found is not None else []
        if done % BATCH == 0 or done == len(todo):
            with manifest.transaction():
                manifest.put_measurements(batch)
            batch = []
            progress("measuring", done, len(todo))
