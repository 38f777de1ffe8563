"""What training leaves out at random, drawn from where the run stands and nothing else.

A rank or a module is out for a whole batch, so that any number of processes leaves out the same; a neuron for one image.
As the draws are keyed, gradient checkpointing, which computes activations twice, draws the same again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pipeline.core.seeded import key_seed, rng

Key = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class StepContext:
    """Where the run stands: a key for the whole batch, and one for each image in it."""

    batch: Key
    rows: Sequence[Key] = ()


@dataclass(eq=False, slots=True)
class Clock:
    """The step all layers of an adapter share; none outside of training steps, where nothing is left out."""

    step: StepContext | None = None


@dataclass(frozen=True, slots=True)
class Dropout:
    """Shares of ranks, modules and neurons that a layer leaves out; `unit` is how many ranks learn together where ranks are
    nested.

    What stays of ranks and neurons is enlarged by 1 / (1 - share), so that the expected change is the whole one.
    """

    name: str
    clock: Clock = field(default_factory=Clock)
    rank: float = 0.0
    module: float = 0.0
    neuron: float = 0.0
    unit: int = 0

    def skipped(self) -> bool:
        """Whether the layer goes without its adapter in this batch."""
        step = self.clock.step
        return bool(self.module and step and rng("module dropout", *step.batch, self.name).random() < self.module)

    def ranks(self, up: Tensor, what: str = "") -> Tensor | None:
        """(r,) factors, 0 or 1 / (1 - share), for the columns of `up`; None where no rank is left out."""
        step = self.clock.step
        if not self.rank or step is None:
            return None
        drawn = rng("rank dropout", *step.batch, self.name, what).random(up.shape[1])
        return torch.from_numpy((drawn >= self.rank) / (1.0 - self.rank)).to(up)

    def neurons(self, values: Tensor, what: str = "") -> Tensor:
        """The values (rows, …), some of them 0 and the others enlarged."""
        step = self.clock.step
        if not self.neuron or step is None:
            return values
        kept = torch.empty_like(values, dtype=torch.float32)
        for number, row in enumerate(kept):
            key = step.rows[number % len(step.rows)] if step.rows else step.batch
            seed = key_seed("neuron dropout", *key, number // max(len(step.rows), 1), self.name, what)
            row.uniform_(generator=torch.Generator(row.device).manual_seed(seed))
        return values * ((kept >= self.neuron) / (1.0 - self.neuron)).to(values.dtype)

    @property
    def dropping_neurons(self) -> bool:
        return bool(self.neuron) and self.clock.step is not None

    def block(self, rank: int) -> tuple[int, int] | None:
        """Where the unit of ranks begins and ends that is trained now, the same in all layers of that rank; None outside
        of training."""
        step = self.clock.step
        if step is None or not self.unit:
            return None
        last = int(rng("nested rank", *step.batch).integers(rank // self.unit))
        return last * self.unit, (last + 1) * self.unit
