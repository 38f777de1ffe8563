"""Weights that stay in the host's memory come to the device one at a time, the next while it computes with the last."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from train.device import PINNED


class Prefetch:
    """Brings a weight to the device when it is asked for, and then begins with the one that came after these two the last time.

    Two are what it takes to tell the way there from the way back. Where the guess is wrong a copy was made for nothing.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream: Any = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._after: dict[tuple[int, int], Tensor] = {}
        self._two = (0, 0)
        self._ahead: tuple[Tensor, Tensor] | None = None
        self.guessed = 0
        """How many were there before they were asked for."""

    def take(self, kept: Tensor) -> Tensor:
        """A weight of the host's on the device."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] is kept:
            moved = self._arrived(ahead[1])
            self.guessed += 1
        else:
            moved = kept.to(self.device, non_blocking=True)
        self._after[self._two] = kept
        self._two = (self._two[1], id(kept))
        following = self._after.get(self._two)
        if following is not None:
            with self._beside():
                self._ahead = following, following.to(self.device, non_blocking=True)
        return moved

    def forget(self) -> None:
        """Give up what was brought ahead."""
        self._ahead = None

    def _beside(self) -> AbstractContextManager[Any]:
        """Within, copies do not wait for the arithmetic."""
        return contextlib.nullcontext() if self._stream is None else torch.cuda.stream(self._stream)

    def _arrived(self, moved: Tensor) -> Tensor:
        """Have the arithmetic wait for a copy that was begun beside it."""
        if self._stream is not None:
            current = torch.cuda.current_stream(self.device)
            current.wait_stream(self._stream)
            moved.record_stream(current)
        return moved


def pinned(tensor: Tensor, device: torch.device) -> Tensor:
    """In memory from which copies to the device need no detour."""
    return tensor.pin_memory() if device.type in PINNED else tensor
