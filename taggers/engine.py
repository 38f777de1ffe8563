"""Pictures to scores: threads decode into a few fixed slots while one loop runs the model on those that are full."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from PIL.Image import Image

from taggers.download import ModelFiles, fetch, revision_of
from taggers.errors import TaggerError
from taggers.labels import WD_COLUMNS, Label, columns, read_labels
from taggers.prepare import as_input, square
from taggers.session import Session, open_session
from taggers.spec import OVERRIDES, ModelSpec, find_spec

FLOOR = 0.01
"""Probabilities below this are not worth storing."""
SLOTS = 3
LARGEST_SIDE = 4096
Source = TypeVar("Source")
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Scored:
    """What the model says of one picture, most probable tag first, or why it could not be decoded."""

    key: str
    scores: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class OnnxTagger:
    """A loaded tagger. `fixed_batch` is the batch size the model insists on, 0 where it takes any."""

    spec: ModelSpec
    revision: str
    labels: tuple[Label, ...]
    session: Session
    input: str
    output: str
    side: int
    fixed_batch: int

    def score(
        self,
        pictures: Iterable[tuple[str, Source]],
        load: Callable[[Source], Image],
        batch_size: int = 0,
        decoders: int = 0,
    ) -> Generator[list[Scored], None, None]:
        """Score (key, source) pairs in order, a batch at a time; `load` runs in `decoders` threads.

        A batch size of 0 takes 4 on the CPU and 32 on a GPU; 0 decoders take half the cores, at most 4.
        """
        size = self.fixed_batch or batch_size or (32 if self.session.on_gpu else 4)
        free = deque(np.empty((size, self.side, self.side, 3), np.uint8) for _ in range(SLOTS))
        full: deque[tuple[np.ndarray, list[str], list[Future[str]]]] = deque()
        pool = ThreadPoolExecutor(decoders or max(1, min(4, cores() // 2)), thread_name_prefix="decode")
        try:
            for batch in _batches(pictures, size):
                slot = free.popleft()
                problems = [pool.submit(self._decode, slot[row], source, load) for row, (_, source) in enumerate(batch)]
                full.append((slot, [key for key, _ in batch], problems))
                if not free:
                    yield self._finish(*full[0])
                    free.append(full.popleft()[0])
            while full:
                yield self._finish(*full.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _decode(self, row: np.ndarray, source: Source, load: Callable[[Source], Image]) -> str:
        """Fill a row of a slot; returns what went wrong, "" when nothing."""
        try:
            row[:] = square(load(source), self.side, self.spec)
        except Exception as error:
            return str(error).strip() or type(error).__name__
        return ""

    def _finish(self, slot: np.ndarray, keys: list[str], waiting: list[Future[str]]) -> list[Scored]:
        problems = [future.result() for future in waiting]
        good = [row for row, problem in enumerate(problems) if not problem]
        found = dict(zip(good, self._infer(slot[good]), strict=True)) if good else {}
        return [
            Scored(key, self._sparse(found[row])) if row in found else Scored(key, problem=problems[row])
            for row, key in enumerate(keys)
        ]

    def _infer(self, pixels: np.ndarray) -> np.ndarray:
        """(N, S, S, 3) uint8 → (N, labels) probabilities; halves the batch when the device runs out of memory."""
        count = len(pixels)
        if count < self.fixed_batch:
            pixels = np.concatenate([pixels, np.full((self.fixed_batch - count, *pixels.shape[1:]), 255, np.uint8)])
        try:
            values = self.session.runtime.run([self.output], {self.input: as_input(pixels, self.spec)})[0][:count]
        except Exception as error:
            if "allocat" in str(error).lower() and not self.fixed_batch and count > 1:
                return np.concatenate([self._infer(pixels[: count // 2]), self._infer(pixels[count // 2 :])])
            raise TaggerError(
                f"{self.spec.name} failed on a batch of {count}: {str(error).splitlines()[0][:400]}",
                "try a smaller --batch-size, or --device cpu",
            ) from error
        return probabilities(values, self.spec, len(self.labels))

    def _sparse(self, row: np.ndarray) -> dict[str, float]:
        found: dict[str, float] = {}
        for place in np.argsort(-row, kind="stable"):
            if row[place] < FLOOR:
                break
            found.setdefault(self.labels[place].name, round(float(row[place]), 4))
        return found


def load_tagger(model: str, device: str = "auto", threads: int = 0) -> OnnxTagger:
    """Fetch, open and check a tagger named as `find_spec` takes it.

    Raises:
        TaggerError: no such tagger, files missing or not fitting each other, or the device cannot be had.
    """
    spec = find_spec(model)
    files = fetch(spec)
    labels = read_labels(files.labels, spec.label_kind)
    session = open_session(files.model, device, threads)
    entry, side, fixed = _input(session.runtime, spec, files)
    output = _output(session.runtime, spec, labels, files)
    tagger = OnnxTagger(spec, revision_of(spec), labels, session, entry, output, side, fixed)
    tagger._infer(np.full((1, side, side, 3), 255, np.uint8))
    return tagger


def probabilities(values: np.ndarray, spec: ModelSpec, labels: int) -> np.ndarray:
    """(N, labels) outputs as probabilities.

    Raises:
        TaggerError: they are of another width, not finite, or cannot be what the spec says they are.
    """
    if values.ndim != 2 or values.shape[1] != labels:
        raise _misfit(spec, values.shape[-1], labels)
    values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise TaggerError(
            f"{spec.name} gives scores that are not finite numbers", "fetch the model again, or try --device cpu"
        )
    if spec.activation == "sigmoid":
        if labels >= 20 and values.min() >= 0 and values.max() <= 1:
            raise TaggerError(
                f"{spec.name} gives probabilities already, a second sigmoid would lift all above 0.5",
                f'write activation = "none" in its {OVERRIDES}',
            )
        return 1 / (1 + np.exp(-values.clip(-80, 80)))
    if values.min() < -1e-3 or values.max() > 1 + 1e-3:
        raise TaggerError(
            f"{spec.name} gives scores from {values.min():.2f} to {values.max():.2f}, not probabilities",
            f'if it gives logits, write activation = "sigmoid" in its {OVERRIDES}',
        )
    return values


def _batches(items: Iterable[Item], size: int) -> Iterator[tuple[Item, ...]]:
    rest = iter(items)
    while batch := tuple(islice(rest, size)):
        yield batch


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _input(runtime: Any, spec: ModelSpec, files: ModelFiles) -> tuple[str, int, int]:
    """(name, side, fixed batch or 0) of the model's one picture input, checked against the spec."""
    inputs = runtime.get_inputs()
    shape = list(inputs[0].shape)
    layout = "NHWC" if len(shape) == 4 and shape[3] == 3 else "NCHW" if len(shape) == 4 and shape[1] == 3 else "neither"
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or layout == "neither":
        wanted = "; ".join(f"{each.name} {each.type} {each.shape}" for each in inputs)
        raise TaggerError(
            f"{files.model} takes {wanted}; a tagger takes one float picture with 3 channels", "name another model"
        )
    if not spec.declared and (layout != "NHWC" or columns(files.labels) != WD_COLUMNS):
        raise TaggerError(
            f"{files.model.parent} holds no tagger of the WD family, and what another wants does not show",
            f'write a {OVERRIDES} beside it, one to a line, such as: layout = "{layout}", channels = "RGB", '
            'scale = 1.0, mean = [0.5, 0.5, 0.5], std = [0.5, 0.5, 0.5], activation = "sigmoid"',
        )
    if layout != spec.layout:
        raise TaggerError(
            f"{files.model} takes {layout}, its {OVERRIDES} says {spec.layout}", f'write layout = "{layout}"'
        )
    sides = [each if isinstance(each, int) else spec.side for each in (shape[1:3] if layout == "NHWC" else shape[2:])]
    if sides[0] != sides[1] or not 16 <= sides[0] <= LARGEST_SIDE:
        raise TaggerError(
            f"{files.model} takes pictures of {shape}; a square side from 16 to {LARGEST_SIDE} is needed",
            f"where the model leaves it open, write it in {OVERRIDES}, such as: side = 448",
        )
    fixed = shape[0] if isinstance(shape[0], int) else 0
    if fixed > 1024:
        raise TaggerError(f"{files.model} insists on batches of {fixed}", "export it with a free batch dimension")
    return inputs[0].name, sides[0], fixed


def _output(runtime: Any, spec: ModelSpec, labels: tuple[Label, ...], files: ModelFiles) -> str:
    """The name of the output that holds the scores."""
    outputs = {each.name: list(each.shape) for each in runtime.get_outputs()}
    if spec.output:
        if spec.output not in outputs:
            raise TaggerError(f"{files.model} has no output {spec.output!r}", f"its outputs are: {', '.join(outputs)}")
        return spec.output
    fitting = [name for name, shape in outputs.items() if len(shape) == 2 and shape[1] == len(labels)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting and len(outputs) == 1:
        ((name, shape),) = outputs.items()
        if len(shape) == 2 and isinstance(shape[1], int):
            raise _misfit(spec, shape[1], len(labels))
        return name
    raise TaggerError(
        f"{files.model} has {len(outputs)} outputs ({', '.join(outputs)}) and {len(fitting)} of them "
        f"as wide as the {len(labels)} labels",
        f'name one in {OVERRIDES}, such as: output = "prediction"',
    )


def _misfit(spec: ModelSpec, scores: int, labels: int) -> TaggerError:
    return TaggerError(
        f"{spec.name} gives {scores} scores a picture, but {spec.labels} has {labels} labels",
        f"use the {spec.labels} that belongs to this model",
    )
