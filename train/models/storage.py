"""How frozen layers keep their weights: in fewer bits than they compute in, and restored whenever they are used.

A layer whose weight is kept so has it as a parametrization (torch.nn.utils.parametrize): `layer.weight` is restored anew at
each use and nobody holds it longer than that: for the way back it is restored again (`restored_again`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeGuard
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from train.models.prefetch import Prefetch, pinned

Kept = Literal["full", "file", "half", "fp8"]
"""full: as they are computed with; file: as the file has them, if in 16 bits; half: in 16 bits, those of the file where it has
them; fp8: in 8 bits with a scale."""
Made = WeakKeyDictionary[torch.UntypedStorage, Callable[[], Tensor]]
"""The memory of each restored weight that is alive → how to restore it."""
FLOAT8 = torch.float8_e4m3fn
LARGEST = 448.0
"""What e4m3 holds at the most (Micikevicius et al. 2022, arXiv:2209.05433)."""
HALVES = (torch.float16, torch.bfloat16)


@dataclass(frozen=True, slots=True)
class Numbers:
    """`computed` is what matrix products and convolutions are computed in, `kept` how their frozen weights are kept, and
    `streamed` whether these stay on the host and come to the device one at a time."""

    computed: torch.dtype = torch.float32
    kept: Kept = "full"
    streamed: bool = False

    def stored(self, found: torch.dtype) -> torch.dtype:
        """What a weight that a file has in `found` is kept in."""
        if self.kept == "fp8":
            return FLOAT8
        if self.kept == "full" or self.computed in HALVES:
            return self.computed
        if found in HALVES:
            return found
        return torch.bfloat16 if self.kept == "half" else self.computed


FULL = Numbers()
AS_IN_FILE = Numbers(kept="file")
"""Without a loss, whatever the file has."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How a base model is kept: the numbers of its UNet and of its text encoders, and whether a part is on the device only
    while it is at work. The VAE, which computes in float32 at least when it decodes, loses nothing."""

    unet: Numbers = FULL
    text: Numbers = FULL
    lean: bool = False

    @property
    def vae(self) -> Numbers:
        return FULL if self.unet.kept == "full" else AS_IN_FILE


WHOLE = Keeping()
"""In float32, all of it on the device."""


class Restored(nn.Module):
    """A weight as it is computed with, of one that is kept in fewer bits and of the scale of each output, or on the host."""

    def __init__(self, dtype: torch.dtype, scale: Tensor | None, streamed: bool = False) -> None:
        super().__init__()
        self.dtype, self.streamed = dtype, streamed
        self.prefetch: Prefetch | None = None
        self.scale: Tensor | None
        self.register_buffer("scale", scale)
        self.made: Made | None = None

    def forward(self, kept: Tensor) -> Tensor:
        whole = self.whole(kept)
        if self.made is not None:
            self.made[whole.untyped_storage()] = partial(self.whole, kept)
        return whole

    def whole(self, kept: Tensor) -> Tensor:
        kept = kept if self.prefetch is None else self.prefetch.take(kept)
        whole = kept.to(self.dtype)
        return whole if self.scale is None else whole.mul_(self.scale)


@contextlib.contextmanager
def restored_again(*models: nn.Module) -> Iterator[None]:
    """Within, what autograd would keep of restored weights for the way back is restored again there instead."""
    layers = [layer for model in models for layer in model.modules() if isinstance(layer, Restored)]
    if not layers:
        yield
        return
    made: Made = WeakKeyDictionary()

    def pack(tensor: Tensor) -> Tensor | _Again:
        again = made.get(tensor.untyped_storage())
        if again is None:
            return tensor
        return _Again(again, tensor.shape, tensor.stride(), int(tensor.storage_offset()))

    def unpack(packed: Tensor | _Again) -> Tensor:
        if isinstance(packed, Tensor):
            return packed
        return packed.whole().as_strided(packed.shape, packed.stride, packed.offset)

    for layer in layers:
        layer.made = made
    try:
        with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
            yield
    finally:
        for layer in layers:
            layer.made = None


@dataclass(frozen=True, slots=True)
class _Again:
    """How to restore a weight, and which view of it was asked for."""

    whole: Callable[[], Tensor]
    shape: torch.Size
    stride: tuple[int, ...]
    offset: int


def in_float8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A weight (out, …) in e4m3, and the scale (out, 1, …) in float32 that brings it back.

    The scale is a power of two, the least with which an output's largest number is at most 448: so what was in e4m3 before
    comes back exactly, and what was not is off by at most 1/16 of itself, or 2^-10 of the scale where that is more.
    """
    whole = weight.float()
    largest = whole.abs().amax(tuple(range(1, whole.ndim)), keepdim=True)
    _, exponent = torch.frexp(largest / LARGEST)
    scale = torch.ldexp(torch.ones_like(largest), exponent.clamp(-100, 100))
    scale = torch.where(largest <= scale / 2 * LARGEST, scale / 2, scale)
    return (whole / scale).to(FLOAT8), scale


def is_kept(layer: nn.Module) -> bool:
    """Whether a layer's weight is kept in fewer bits."""
    return parametrize.is_parametrized(layer, "weight")


def packed(weight: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    """A weight in the numbers it is kept in, and its scale where they have one."""
    return in_float8(weight) if dtype is FLOAT8 else (weight.to(dtype), None)


def keep(layer: nn.Linear | nn.Conv2d, weight: Tensor, scale: Tensor | None, numbers: Numbers) -> None:
    """Have a frozen layer keep a weight that is packed, to be restored where it is not as it computes, and its bias as it
    computes."""
    if layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias.detach().to(numbers.computed), requires_grad=False)
    layer.weight = nn.Parameter(weight, requires_grad=False)
    if weight.dtype is not numbers.computed or numbers.streamed:
        scale = None if scale is None else scale.to(numbers.computed)
        restored = Restored(numbers.computed, scale, numbers.streamed)
        parametrize.register_parametrization(layer, "weight", restored, unsafe=True)


def keep_all(model: nn.Module, numbers: Numbers) -> None:
    """As `keep`, for every frozen linear layer and convolution of a model that is whole. Norms and embeddings stay in float32,
    as autocast leaves them."""
    for layer in model.modules():
        if takes_part(layer):
            found = layer.weight.detach()
            keep(layer, *packed(found, numbers.stored(found.dtype)), numbers)


def others_in_float32(model: nn.Module) -> None:
    """Norms, embeddings and whatever else is no linear layer or convolution."""
    for layer in model.modules():
        if not isinstance(layer, nn.Linear | nn.Conv2d | parametrize.ParametrizationList | Restored):
            for name, weight in layer._parameters.items():
                if weight is not None and weight.is_floating_point():
                    layer._parameters[name] = nn.Parameter(weight.detach().to(torch.float32), requires_grad=False)


def takes_part(layer: nn.Module) -> TypeGuard[nn.Linear | nn.Conv2d]:
    """Whether a layer is a frozen one whose weight can be kept in other numbers."""
    return isinstance(layer, nn.Linear | nn.Conv2d) and not is_kept(layer) and not layer.weight.requires_grad


def whole_weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """(name, weight) of a model by the names and in the numbers that it would have if all were kept as it computes."""
    for path, layer in model.named_modules():
        if isinstance(layer, Restored | parametrize.ParametrizationList):
            continue
        names = set(layer._parameters) | ({"weight"} if is_kept(layer) else set())
        for name in sorted(names):
            weight = getattr(layer, name)
            if weight is not None:
                yield f"{path}.{name}" if path else name, weight


def stream(model: nn.Module, device: torch.device) -> None:
    """Have the weights that are to stay on the host come to a device as they are used."""
    prefetch = Prefetch(device)
    for layer in model.modules():
        if isinstance(layer, parametrize.ParametrizationList) and streamed(layer):
            layer.original = nn.Parameter(pinned(layer.original.detach(), device), requires_grad=False)
            for restored in layer:
                if isinstance(restored, Restored):
                    restored.prefetch = prefetch


def streamed(layer: nn.Module) -> bool:
    """Whether it holds a weight that stays on the host."""
    return isinstance(layer, parametrize.ParametrizationList) and any(
        isinstance(each, Restored) and each.streamed for each in layer
    )


def kept_weight(layer: nn.Module) -> Tensor:
    """The weight as it is kept, never restored: for what only asks where and what it is."""
    if is_kept(layer):
        return layer.parametrizations.weight.original  # type: ignore[union-attr,return-value]
    return layer.weight  # type: ignore[return-value]
