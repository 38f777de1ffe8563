"""The processes that train together: one, or several that accelerate has brought up, each with its share of every batch.

A batch is planned for all of them; each process works on its own samples, and what they come to is added up. Random draws
are keyed by sample, so one process and several show the same images with the same noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class World:
    """`rank` of `world_size` processes. The main process, rank 0, alone writes files and reports progress."""

    rank: int = 0
    world_size: int = 1

    @property
    def is_main_process(self) -> bool:
        return self.rank == 0

    def shard(self, items: Sequence[Item]) -> Sequence[Item]:
        """This process's shard: every `world_size`-th item."""
        return items[self.rank :: self.world_size]

    def all_reduce_sum(self, tensor: Tensor) -> Tensor:
        """The sum of every process's tensor, which must be of one shape and dtype; the same in all of them."""
        if self.world_size == 1:
            return tensor
        from accelerate.utils import reduce

        total: Tensor = reduce(tensor, "sum")
        return total

    def gather(self, items: Sequence[Item]) -> list[Item]:
        """Every process's items, those of rank 0 first; the same in all of them."""
        if self.world_size == 1:
            return list(items)
        from accelerate.utils import gather_object

        return list(gather_object(list(items)))

    def any_true(self, flag: bool, device: torch.device) -> bool:
        """Whether any process says so."""
        return flag if self.world_size == 1 else bool(self.all_reduce_sum(torch.tensor(float(flag), device=device)) > 0)

    def wait(self) -> None:
        """Until every process is here."""
        if self.world_size > 1:
            from accelerate import PartialState

            PartialState().wait_for_everyone()


ALONE = World()
