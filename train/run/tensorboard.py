"""A run's figures for TensorBoard: the same lines that log.jsonl and validation.jsonl hold, as scalars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.errors import PrepError
from train.evaluation.validation_history import Evaluation

PLACES = {
    "loss": "loss/mean",
    "unet_lr": "lr/unet",
    "text_encoder_lr": "lr/text_encoder",
    "gradient_norm": "norm/gradient",
    "weights_norm": "norm/weights",
    "images_per_second": "speed/images_per_second",
    "memory_bytes": "memory/bytes",
}
LARGEST_SIDE = 2048
"""Pixels of the longer side that an image is downscaled to."""


def writer_class() -> Any:
    """What writes events.

    Raises:
        PrepError: the package tensorboard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise PrepError(
            f"train: tensorboard is true, but it cannot be loaded: {error}",
            'pip install "lora-prep[tensorboard]", or leave tensorboard out',
        ) from error
    return SummaryWriter


class TensorBoard:
    """Writes events into a folder. `start` is how many steps are done already: what an earlier process wrote about later
    ones is void from then on, so that no curve doubles.

    Raises:
        PrepError: the package tensorboard is not installed.
    """

    def __init__(self, folder: Path, start: int = 0) -> None:
        self._writer = writer_class()(str(folder), purge_step=start + 1 if start else 0, flush_secs=30)

    def add(self, line: Mapping[str, Any]) -> None:
        """A line of log.jsonl."""
        self._write(line["step"], _scalars(line))

    def add_validation(self, evaluation: Evaluation) -> None:
        """A validation, as it stands in validation.jsonl."""
        self._write(evaluation.step, _validation_scalars(asdict(evaluation)))

    def add_image(self, name: str, step: int, file: Path) -> None:
        """An image such as the grid of samples, made smaller where it is large."""
        from PIL import Image

        with Image.open(file) as opened:
            opened.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
            self._writer.add_image(name, np.asarray(opened.convert("RGB")), step, dataformats="HWC")

    def flush(self) -> None:
        """See that everything up to now is on disk."""
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()

    def _write(self, step: int, scalars: Iterator[tuple[str, float]]) -> None:
        for name, value in scalars:
            self._writer.add_scalar(name, value, step)


def _scalars(line: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for key, now in PLACES.items():
        if line.get(key) is not None:
            yield now, line[key]
    yield from _grouped("loss", line)


def _validation_scalars(line: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for part in ("held_out", "train_subset"):
        if line.get(part) is not None:
            yield f"validation/{part}", line[part]
    yield from _grouped("validation", line)


def _grouped(head: str, line: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for part, name in (("concepts", "concept"), ("bands", "band")):
        for key, value in (line.get(part) or {}).items():
            sides = value if isinstance(value, Mapping) else {"": value}
            for side, loss in sides.items():
                if loss is not None:
                    yield "/".join(filter(None, (head, name, key, side))), loss
