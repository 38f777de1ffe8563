"""One model run on a batch: pixels in, probabilities out, however much memory the device turns out to have."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from taggers.errors import TaggerError
from taggers.resize import Feed
from taggers.spec import OVERRIDES, ModelSpec

_OUT_OF_MEMORY = re.compile(r"alloc|out of memory|not enough memory", re.IGNORECASE)
TELLING_LABELS = 20
"""Fewer labels than these say nothing about the range of a model's outputs."""


class Inference:
    """Runs batches of at most `most` images. Where the device's memory ends, `most` is halved for good."""

    def __init__(
        self, runtime: Any, spec: ModelSpec, ports: tuple[str, str], labels: int, most: int, fixed: int
    ) -> None:
        self.runtime, self.spec, self.labels, self.most, self.fixed = runtime, spec, labels, most, fixed
        self.input, self.output = ports
        self.feed = Feed(spec)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """(N, S, S, 3) uint8 in the model's channel order → (N, labels) float32 probabilities.

        Raises:
            TaggerError: the model fails, or what it gives is not what its spec says.
        """
        done: list[np.ndarray] = []
        while (start := sum(map(len, done))) < len(pixels):
            batch = pixels[start : start + self.most]
            try:
                done.append(self._run(batch))
            except Exception as error:
                words = str(error).strip() or type(error).__name__
                short = isinstance(error, MemoryError) or bool(_OUT_OF_MEMORY.search(words))
                if not short or self.fixed or len(batch) == 1:
                    raise TaggerError(
                        f"{self.spec.name} failed on a batch of {len(batch)}: {words.splitlines()[0][:400]}",
                        "try --device cpu, or a smaller model"
                        if short
                        else "try --device cpu, or fetch the model again",
                    ) from error
                self.most = len(batch) // 2
        return probabilities(done[0] if len(done) == 1 else np.concatenate(done), self.spec, self.labels)

    def _run(self, batch: np.ndarray) -> np.ndarray:
        count = len(batch)
        if count < self.fixed:
            batch = np.concatenate([batch, np.full((self.fixed - count, *batch.shape[1:]), 255, np.uint8)])
        values: np.ndarray = self.runtime.run([self.output], {self.input: self.feed(batch)})[0]
        return values[:count]


def probabilities(values: np.ndarray, spec: ModelSpec, labels: int) -> np.ndarray:
    """(N, width) outputs as (N, width) probabilities; see `fits` for the width.

    Raises:
        TaggerError: they are of another width, not finite, or cannot be what the spec says they are.
    """
    if values.ndim != 2 or not fits(values.shape[1], labels, spec):
        raise misfit(spec, values.shape[-1], labels)
    values = values.astype(np.float32, copy=False)
    if not np.isfinite(values).all():
        raise TaggerError(
            f"{spec.name} gives scores that are not finite numbers", "fetch the model again, or try --device cpu"
        )
    lowest, highest = float(values.min()), float(values.max())
    if spec.activation == "sigmoid":
        if labels >= TELLING_LABELS and lowest >= 0 and highest <= 1:
            raise TaggerError(
                f"{spec.name} gives probabilities already, a second sigmoid would lift all above 0.5",
                f'write activation = "none" in its {OVERRIDES}',
            )
        squashed: np.ndarray = 1 / (1 + np.exp(-values.clip(-80, 80)))
        return squashed
    if lowest < -1e-3 or highest > 1 + 1e-3:
        raise TaggerError(
            f"{spec.name} gives scores from {lowest:.2f} to {highest:.2f}, not probabilities",
            f'if it gives logits, write activation = "sigmoid" in its {OVERRIDES}',
        )
    return values


def suspicion(values: np.ndarray, spec: ModelSpec) -> str:
    """What is odd about the (N, labels) probabilities of a blank image, "" if nothing: few tags can hold of it."""
    if values.shape[1] >= TELLING_LABELS and float((values >= 0.45).mean()) > 0.95:
        return (
            f"{spec.name} gives a blank image more than 0.45 for nearly every tag, as if a sigmoid was taken twice; "
            "fetch the model from its author, or use another one"
        )
    return ""


def fits(width: int, labels: int, spec: ModelSpec) -> bool:
    """Whether so many outputs go with so many labels. A JSON label file may leave outputs without a name."""
    return labels <= width <= 2 * labels if spec.label_kind == "json" else width == labels


def misfit(spec: ModelSpec, scores: int, labels: int) -> TaggerError:
    return TaggerError(
        f"{spec.name} gives {scores} scores an image, but {spec.labels} has {labels} labels",
        f"use the {spec.labels} that belongs to this model",
    )
