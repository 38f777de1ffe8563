"""Adapters on a base model, one after another: each file is read once, and attached and taken off without loading anything."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from train.adapters.adapter import Adapter, unattached_adapter
from train.grid.cells import Attached
from train.models.base import BaseModel

KEPT = 8
"""Adapters that stay in the host's memory."""


class Attachments:
    """The adapters of one base model."""

    def __init__(self, base: BaseModel) -> None:
        self.base = base
        self._kept: OrderedDict[tuple[Path, str, int], Adapter] = OrderedDict()

    @contextmanager
    def on(self, wanted: Sequence[Attached]) -> Iterator[None]:
        """Within, these adapters act, in this order, each at its weights.

        Raises:
            PrepError: a file is not there, or does not fit the base model.
        """
        put: list[Adapter] = []
        try:
            for number, each in enumerate(wanted):
                again = sum(other.file == each.file for other in wanted[:number])
                adapter = self._adapter(each, again).to(self.base.device)
                adapter.set_weights(each.weights)
                adapter.attach()
                put.append(adapter)
            yield
        finally:
            for adapter in reversed(put):
                adapter.detach()
                adapter.to("cpu")

    def _adapter(self, each: Attached, again: int) -> Adapter:
        """`again` tells apart the same file that is wanted twice."""
        key = each.file, each.digest, again
        if key not in self._kept:
            self._kept[key] = unattached_adapter(self.base, each.file)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]
