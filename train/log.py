"""What a run writes down about its steps: SET/runs/NAME/log.jsonl, one line a batch."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor

from pipeline.errors import PrepError

TOGETHER = 20
"""Steps whose losses are fetched from the device at once: each fetch waits until the device has caught up."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One step: `loss` is still on the device, `rates` are the groups' learning rates, `pictures` the batch's keys."""

    step: int
    epoch: int
    loss: Tensor
    losses: Tensor
    times: Tensor
    keys: Sequence[str]
    concepts: Sequence[str]
    twins: int
    rates: Sequence[float]
    gradient_norm: Tensor | None
    seconds: float

    @property
    def pictures(self): return self.keys


class RunLog:
    """Collects steps and writes them together; a loss that is not finite is found then, and its step named."""

    def __init__(self, file: Path, state_file: Path, team=None) -> None:
        self._file, self._state_file = file, state_file
        self._waiting: list[Entry] = []
        self._recent: deque[Entry] = deque(maxlen=TOGETHER)

    def trim(self, start: int) -> None:
        """Drop what a killed run wrote after its last state."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        lines = self._file.read_text(encoding="utf-8").splitlines() if start and self._file.exists() else []
        self._file.write_text("".join(line + "\n" for line in lines[:start]), encoding="utf-8")

    def add(self, entry: Entry) -> None:
        """Keep a step for later, or write it with those before it."""
        self._waiting.append(entry)
        self._recent.append(entry)
        if len(self._waiting) >= TOGETHER:
            self.write()

    def smoothed(self): return ""

    def write(self) -> None:
        """Write what waits.

        Raises:
            PrepError: a loss is not finite; the steps before it are written.
        """
        if not self._waiting:
            return
        losses = torch.stack([entry.loss for entry in self._waiting]).tolist()
        with self._file.open("a", encoding="utf-8") as stream:
            for entry, loss in zip(self._waiting, losses, strict=True):
                if not math.isfinite(loss):
                    raise self._refusal(f"the loss is {loss} at step {entry.step}; the batch held", [entry])
                stream.write(json.dumps(_line(entry, loss)) + "\n")
        self._waiting.clear()

    def refuse_weights(self) -> NoReturn:
        """Say that the weights are not finite although every loss was, and name the last steps' pictures."""
        raise self._refusal("the adapter's weights are not finite any more; the last batches held", self._recent)

    def _refusal(self, what: str, entries: Iterable[Entry]) -> PrepError:
        names = ", ".join(dict.fromkeys(name for entry in entries for name in entry.pictures))
        kept = f"the last good state is kept in {self._state_file}; " if self._state_file.exists() else ""
        return PrepError(
            f"{what} {names}",
            f'{kept}lower the learning rate, or use mixed_precision = "bf16", or look at the pictures',
        )


def _line(entry: Entry, loss: float) -> dict[str, float]:
    line = {"step": entry.step, "epoch": entry.epoch, "loss": round(loss, 6), "learning_rate": entry.rates[0]}
    return line | ({"text_learning_rate": entry.rates[1]} if len(entry.rates) > 1 else {})
