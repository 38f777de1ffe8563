"""Images to scores: threads decode into a few fixed slots while one loop runs the model on those that are full."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypeVar

import numpy as np
from PIL.Image import Image

from taggers.download import fetch, pinned, revision_of
from taggers.inference import Inference, suspicion
from taggers.labels import Label, read_labels
from taggers.ports import input_port, output_port
from taggers.preprocess import declared_by
from taggers.registry import find_spec
from taggers.resize import square
from taggers.session import Session, open_session
from taggers.spec import ModelSpec

FLOOR = 0.01
"""Probabilities below this are not worth storing."""
SLOTS = 3
MOST_DECODERS = 16
Source = TypeVar("Source")
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Scored:
    """What the model says of one image, most probable tag first, or why it could not be decoded."""

    key: str
    scores: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class OnnxTagger:
    """A loaded tagger. `fixed_batch` is the batch size the model insists on, 0 where it takes any; `sha256` is of its
    model file, `warnings` are words for the person."""

    spec: ModelSpec
    revision: str
    labels: tuple[Label, ...]
    session: Session
    input: str
    output: str
    side: int
    fixed_batch: int
    sha256: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def categories(self) -> dict[str, str]:
        """Tag → category, in output order."""
        return {label.name: label.category for label in self.labels if label.name}

    @property
    def tag_thresholds(self) -> dict[str, float]:
        """Tag → the probability from which it holds, for those whose label file says so."""
        return {label.name: label.threshold for label in self.labels if label.threshold is not None}

    def score(
        self,
        images: Iterable[tuple[str, Source]],
        load: Callable[[Source], Image],
        batch_size: int = 0,
        decoders: int = 0,
    ) -> Generator[list[Scored], None, None]:
        """Score (key, source) pairs in order, a batch at a time; `load` runs in `decoders` threads.

        A batch size of 0 takes 4 on the CPU and 32 on a GPU; 0 decoders take one for every core, at most 16. They wait
        while all slots are full, so they take from the model no more than it costs to decode.
        """
        size = self.fixed_batch or batch_size or (32 if self.session.on_gpu else 4)
        infer = self.inference(size)
        free = deque(np.empty((size, self.side, self.side, 3), np.uint8) for _ in range(SLOTS))
        full: deque[tuple[np.ndarray, list[str], list[Future[str]]]] = deque()
        pool = ThreadPoolExecutor(decoders or min(MOST_DECODERS, cores()), thread_name_prefix="decode")
        try:
            for batch in _batches(images, size):
                slot = free.popleft()
                problems = [pool.submit(self._decode, slot[row], source, load) for row, (_, source) in enumerate(batch)]
                full.append((slot, [key for key, _ in batch], problems))
                if not free:
                    yield self._finish(infer, *full[0])
                    free.append(full.popleft()[0])
            while full:
                yield self._finish(infer, *full.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def inference(self, most: int) -> Inference:
        """What runs the model on batches of at most so many images."""
        ports = (self.input, self.output)
        return Inference(self.session.runtime, self.spec, ports, len(self.labels), most, self.fixed_batch)

    def _decode(self, row: np.ndarray, source: Source, load: Callable[[Source], Image]) -> str:
        """Fill a row of a slot; returns what went wrong, "" when nothing."""
        try:
            row[:] = square(load(source), self.side, self.spec)
        except Exception as error:
            return str(error).strip() or type(error).__name__
        return ""

    def _finish(self, infer: Inference, slot: np.ndarray, keys: list[str], waiting: list[Future[str]]) -> list[Scored]:
        problems = [future.result() for future in waiting]
        good = [row for row, problem in enumerate(problems) if not problem]
        pixels = slot[: len(good)] if len(good) == len(keys) else slot[good]
        found = dict(zip(good, infer(pixels), strict=True)) if good else {}
        return [
            Scored(key, self._sparse(found[row])) if row in found else Scored(key, problem=problems[row])
            for row, key in enumerate(keys)
        ]

    def _sparse(self, row: np.ndarray) -> dict[str, float]:
        """The tags worth storing with their probabilities, most probable first."""
        places = np.flatnonzero(row[: len(self.labels)] >= FLOOR)
        places = places[np.argsort(-row[places], kind="stable")]
        found: dict[str, float] = {}
        for place, score in zip(places.tolist(), row[places].astype(np.float64).round(4).tolist(), strict=True):
            if self.labels[place].name:
                found.setdefault(self.labels[place].name, score)
        return found


def load_tagger(model: str | ModelSpec, device: str = "auto", threads: int = 0) -> OnnxTagger:
    """Fetch, open and check a tagger, given by its spec or named as `find_spec` takes it.

    Raises:
        TaggerError: no such tagger, files missing or not fitting each other, or the device cannot be had.
    """
    spec = pinned(find_spec(model) if isinstance(model, str) else model)
    files = fetch(spec)
    revision = revision_of(spec)
    if files.preprocess is not None:
        spec = declared_by(spec, files.preprocess)
    labels = read_labels(files.labels, spec.label_kind)
    session = open_session(files.model, device, threads)
    entry, side, fixed = input_port(session.runtime, spec, files.model, files.labels)
    output = output_port(session.runtime, spec, len(labels), files.model)
    tagger = OnnxTagger(spec, revision, labels, session, entry, output, side, fixed, files.sha256, session.warnings)
    odd = suspicion(tagger.inference(1)(np.full((1, side, side, 3), 255, np.uint8)), spec)
    return replace(tagger, warnings=(*session.warnings, odd)) if odd else tagger


def _batches(items: Iterable[Item], size: int) -> Iterator[tuple[Item, ...]]:
    rest = iter(items)
    while batch := tuple(islice(rest, size)):
        yield batch


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
