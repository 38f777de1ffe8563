"""One image of a grid: all that it is made with, and the key that is the same for the same image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from train.adapters.files.weights import Weights
from train.adapters.names.block_weights import EACH, OUTSIDE
from train.adapters.names.blocks import BASE
from train.models.text.prompts import Request

WAY = 1
"""Counts up when the same settings make another image."""


@dataclass(frozen=True, slots=True)
class Attached:
    """An adapter file and how strongly it counts; `digest` is the file's SHA-256."""

    file: Path
    digest: str
    weights: Weights

    @property
    def acts(self) -> bool:
        """Whether any layer could be changed."""
        return any(self.weights.of(block != BASE, block) for block in (*EACH, OUTSIDE))


@dataclass(frozen=True, slots=True)
class Reading:
    """How a cell's texts are read and its noise schedule is taken."""

    clip_skip: int
    zero_terminal: bool
    rescale: float


@dataclass(frozen=True, slots=True)
class Cell:
    """One image: its place in the grid, base model, adapters that act, request, and how texts are read."""

    place: Mapping[str, int]
    base: str
    adapters: tuple[Attached, ...]
    request: Request
    reading: Reading

    def key(self, base_digest: str, precision: str) -> str:
        """The name of the image's file, a hash of everything that makes it."""
        request = self.request
        made_of = {
            "way": WAY,
            "base": base_digest,
            "precision": precision,
            "adapters": [[each.digest, *_numbers(each.weights)] for each in self.adapters],
            "prompt": request.prompt,
            "negative": request.negative,
            "seed": request.seed,
            "size": list(request.size),
            "steps": request.steps,
            "guidance": request.guidance,
            "sampler": request.sampler,
            "reading": [
                self.reading.clip_skip,
                self.reading.zero_terminal,
                self.reading.rescale,
            ],
        }
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:24]

    def facts(self) -> dict[str, object]:
        """What its generation text says beside the request's own settings."""
        said: dict[str, object] = {"Clip skip": self.reading.clip_skip} if self.reading.clip_skip > 1 else {}
        if self.reading.rescale:
            said["CFG rescale"] = f"{self.reading.rescale:g}"
        if self.adapters:
            said["Adapters"] = ", ".join(_named(each) for each in self.adapters)
        return said


def _numbers(weights: Weights) -> tuple[object, ...]:
    return weights.overall * weights.unet, weights.overall * weights.text_encoder, sorted(weights.blocks.items())


def _named(attached: Attached) -> str:
    """`lumi 0.8`, or `lumi 0.8 unet 0.5 text 1`."""
    weights = attached.weights
    parts = f" unet {weights.unet:g} text {weights.text_encoder:g}" if weights.unet != weights.text_encoder else ""
    overall = weights.overall if parts else weights.overall * weights.unet
    blocks = (
        " blocks " + " ".join(f"{name}={value:g}" for name, value in weights.blocks.items() if name)
        if weights.blocks
        else ""
    )
    return f"{attached.file.stem} {overall:g}{parts}{blocks}"
