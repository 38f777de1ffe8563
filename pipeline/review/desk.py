"""The desk: one set, read by one thread, seen as a snapshot that is made anew when the record changed."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from pipeline.review.server.answers import Busy
from pipeline.review.snapshot.building import build
from pipeline.review.snapshot.scores import Scores, read_scores
from pipeline.review.snapshot.snapshot import Snapshot
from pipeline.store.edits import take_in
from pipeline.store.lock import SetInUse, holder, lock
from pipeline.store.manifest import Manifest
from pipeline.store.opening import open_write

Result = TypeVar("Result")
COMMAND = "review"
PATIENCE = 5.0
"""Seconds that a decision waits for another prep to let go of the set."""
LOOK_AT_FILES_EVERY = 5.0
"""Seconds between looks for captions that were edited on disk."""


class Desk:
    """A set as the pages see it. Reading goes through one thread, as a connection belongs to the thread that opened it; a
    decision opens the set for itself and holds it only while it is written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.version = 0
        self.runs: list[int] = []
        """What this desk did, for undo, the newest at the end."""
        self.undone: list[int] = []
        """The runs that took something back, for redo, the newest at the end."""
        self._ids: dict[str, int] = {}
        self._paths: list[str] = []
        self._snapshot: Snapshot | None = None
        self._scores: tuple[str, Scores] | None = None
        self._found: dict[str, tuple[int, Any]] = {}
        self._seen = -1
        self._looked = 0.0
        self._writing = threading.Lock()
        self._ended = threading.Event()
        self._reader = ThreadPoolExecutor(1, "desk-reader")
        self._manifest = self._reader.submit(Manifest.open, root).result()

    def end(self) -> None:
        """What is being written is written; what waits for another prep is not."""
        self._ended.set()
        with self._writing:
            pass

    def close(self) -> None:
        self.end()
        self._reader.submit(self._manifest.close).result()
        self._reader.shutdown()

    # --- reading

    def read(self, work: Callable[[Manifest], Result]) -> Result:
        """What some work finds in the record now."""
        if self._ended.is_set():
            raise _over()
        return self._reader.submit(work, self._manifest).result()

    def snapshot(self) -> Snapshot:
        """The set as it is now."""
        return self.read(self._current)

    def scores(self) -> Scores:
        """What taggers said; read once for as long as no score is added and no threshold changed."""
        return self.read(self._current_scores)

    def kept_for_version(self, name: str, work: Callable[[Manifest], Result]) -> Result:
        """What some work finds, done once for each state of the record."""

        def found(manifest: Manifest) -> Result:
            version = self._current(manifest).version
            if name not in self._found or self._found[name][0] != version:
                self._found[name] = version, work(manifest)
            held: Result = self._found[name][1]
            return held

        return self.read(found)

    def _current(self, manifest: Manifest) -> Snapshot:
        self._look_at_files(manifest)
        seen = manifest.data_version()
        if self._snapshot is None or seen != self._seen:
            self.version += 1
            self._snapshot = build(manifest, self.version, self._id_of)
            self._seen = seen
        return self._snapshot

    def _current_scores(self, manifest: Manifest) -> Scores:
        run = manifest.last_run("curate")
        state = f"{manifest.digest('scores')} {run.id if run else 0}"
        if self._scores is None or self._scores[0] != state:
            self._scores = state, read_scores(manifest)
        return self._scores[1]

    def _look_at_files(self, manifest: Manifest) -> None:
        """Take in captions and images that were edited on disk meanwhile, unless another prep is at work."""
        if time.monotonic() - self._looked < LOOK_AT_FILES_EVERY or not os.access(self.root, os.W_OK):
            return
        self._looked = time.monotonic()
        if not self._writing.acquire(blocking=False):
            return  # a decision is being written, which takes them in itself
        try:
            with contextlib.suppress(SetInUse), lock(self.root, COMMAND):
                newest = _newest_run(manifest)
                take_in(manifest)
                if _newest_run(manifest) != newest:
                    self._seen = -1
        finally:
            self._writing.release()

    def _id_of(self, path: str) -> int:
        """A path's number, which it has for as long as the desk runs."""
        if path not in self._ids:
            self._ids[path] = len(self._paths)
            self._paths.append(path)
        return self._ids[path]

    def path_of(self, number: int) -> str:
        """The path of a number, "" where there is none."""
        return self._paths[number] if 0 <= number < len(self._paths) else ""

    def busy(self) -> str:
        """Which command is at work on the set now, "" where none is."""
        return holder(self.root) if not self._writing.locked() else ""

    # --- writing

    @contextlib.contextmanager
    def write(self) -> Iterator[Manifest]:
        """The record to write to, held for this alone; what was edited on disk until now is in it.

        Raises:
            Busy: another prep does not let go of the set, or the desk ends.
        """
        with self._writing:
            until = time.monotonic() + PATIENCE
            while True:
                if self._ended.is_set():
                    raise _over()
                try:
                    with open_write(self.root, COMMAND) as manifest:
                        take_in(manifest)
                        yield manifest
                    return
                except SetInUse as error:
                    if time.monotonic() > until:
                        raise Busy(error.message, "nothing was written; decide again when it has ended") from error
                    self._ended.wait(0.1)


def _newest_run(manifest: Manifest) -> int:
    runs = manifest.runs()
    return runs[-1].id if runs else 0


def _over() -> Busy:
    return Busy("the desk has ended, and nothing was written", "start it again with prep review")
