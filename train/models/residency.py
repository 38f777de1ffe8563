"""Which parts of a base model lie on its device: all of them, or only those that are at work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from train.models.storage import streamed


class Residency:
    """Moves frozen parts between the host's memory, where each has its place, and a device.

    A part that leaves the device is not copied back: its weights never change, so those on the host are taken up again.
    """

    def __init__(self, device: torch.device, parts: Mapping[str, Sequence[nn.Module]]) -> None:
        """`parts` are on the host, by the names that `using` takes."""
        self.device, self._parts = device, {name: tuple(models) for name, models in parts.items()}
        self._host: dict[str, list[Tensor]] = {}
        self._present: frozenset[str] = frozenset()

    @property
    def present(self) -> frozenset[str]:
        """The parts that are on the device."""
        return self._present

    @contextlib.contextmanager
    def using(self, *names: str) -> Iterator[None]:
        """Within, these parts are on the device: with what else is there, or if one of them has to come, alone. Afterwards
        those are that were there before."""
        before = self._present
        if not before.issuperset(names):
            self._bring(frozenset(names))
        try:
            yield
        finally:
            self._bring(before)

    def _bring(self, wanted: frozenset[str]) -> None:
        for name in sorted(self._present - wanted):
            self._put(name, iter(self._host.pop(name)))
        for name in sorted(wanted - self._present):
            self._host[name] = [tensor for _, _, tensor in self._tensors(name)]
            self._put(name, (tensor.to(self.device, non_blocking=True) for tensor in self._host[name]))
        self._present = wanted

    def _put(self, name: str, tensors: Iterator[Tensor]) -> None:
        for holder, key, old in list(self._tensors(name)):
            _hold(holder, key, old, next(tensors))

    def _tensors(self, name: str) -> Iterator[tuple[Any, str, Tensor]]:
        for model in self._parts[name]:
            yield from _tensors_of(model)


def put(model: nn.Module, device: torch.device) -> None:
    """Move a frozen model to a device, one tensor after the other."""
    for holder, key, old in list(_tensors_of(model)):
        _hold(holder, key, old, old.to(device))


def _hold(holder: Any, key: str, old: Tensor, new: Tensor) -> None:
    holder[key] = nn.Parameter(new, requires_grad=False) if isinstance(old, nn.Parameter) else new


def _tensors_of(model: nn.Module) -> Iterator[tuple[Any, str, Tensor]]:
    """(where it is held, its name there, the tensor) of every weight and buffer but those that stay on the host."""
    for module in model.modules():
        if streamed(module):
            continue
        holders: tuple[Any, ...] = (module._parameters, module._buffers)
        for holder in holders:
            for key, tensor in holder.items():
                if tensor is not None:
                    yield holder, key, tensor
