"""Which device a run is on and what that kind of device can do: every stage asks here."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from pipeline.core.errors import PrepError

Item = TypeVar("Item")
Made = TypeVar("Made")
KINDS = ("cuda", "xpu", "mps", "cpu")
"""In the order in which `auto` takes them; AMD's GPUs are torch's cuda."""
M_MMAP_THRESHOLD = -3
"""What glibc's malloc.h calls the size from which memory is asked for by itself."""
PINNED = ("cuda", "xpu")
"""Those to which copies from pinned memory run beside the arithmetic."""
FAST_HALF = (7, 0)
"""CUDA's compute capability from which fp16 is faster than fp32."""
MISSING = {
    "cuda": "check the driver with nvidia-smi (AMD: rocm-smi) and that torch was installed for CUDA or ROCm",
    "xpu": "check the driver of the Intel GPU and that torch was installed for xpu",
    "mps": "it takes an Apple GPU, macOS 14 and torch's build for macOS",
}


@dataclass(frozen=True, slots=True)
class Abilities:
    """`half` are the precisions that it computes in faster than in float32, the best first; `float8` is whether weights may
    be kept in 8 bits on it, `separate` whether it has memory of its own, which parts can leave for the host's."""

    half: tuple[str, ...] = ()
    float8: bool = True
    separate: bool = False


def abilities(device: torch.device) -> Abilities:
    """What a device can do; float32 is computed in on all."""
    if device.type == "cuda":
        fast = torch.version.hip is not None or torch.cuda.get_device_capability(device) >= FAST_HALF
        bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        half = (("bf16",) if bfloat16 else ()) + (("fp16",) if fast else ())
        return Abilities(half, separate=True)
    if device.type == "xpu":
        return Abilities(("bf16", "fp16"), separate=True)
    if device.type == "mps":
        return Abilities(("bf16",) if torch.backends.mps.is_macos_or_newer(14, 0) else (), float8=False)
    if device.type == "cpu":
        return Abilities()
    return Abilities(("bf16",), separate=True)  # a backend that torch was given beside its own


def usable(kind: str) -> bool:
    """Whether torch sees a device of a kind."""
    if kind == "cuda":
        return torch.cuda.is_available()
    if kind == "xpu":
        return torch.xpu.is_available()
    return kind == "cpu" or (kind == "mps" and torch.backends.mps.is_available())


def pick_device(asked: str) -> torch.device:
    """`auto`, `cpu`, or a GPU as torch calls it, `cuda:1` say; one asked for and not usable is an error, never a quiet CPU."""
    if asked == "auto":
        return torch.device(next(kind for kind in KINDS if usable(kind)))
    try:
        device = torch.device(asked)
    except RuntimeError as error:
        raise PrepError(f"device {asked!r} is unknown", "write auto, cpu, cuda, cuda:1, xpu or mps") from error
    if device.type not in KINDS:
        raise PrepError(f"device {asked!r} is not one that can be used", "write auto, cpu, cuda, cuda:1, xpu or mps")
    if not usable(device.type):
        named = {"cuda": "CUDA device", "xpu": "Intel GPU", "mps": "Apple GPU"}[device.type]
        raise PrepError(
            f"device {asked} was asked for, but torch {torch.__version__} sees no {named}",
            f"{MISSING[device.type]}, or use --device cpu",
        )
    count = torch.cuda.device_count() if device.type == "cuda" else 1
    if device.index is not None and device.index >= count:
        raise PrepError(
            f"device {asked} was asked for, but there {'is' if count == 1 else 'are'} {count}",
            f"write {device.type} or {device.type}:{count - 1}",
        )
    return device


def free_bytes(device: torch.device) -> int:
    """Memory that is free on a device; of a CPU, and of a GPU that shares it, the host's."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "xpu":
        return int(torch.xpu.mem_get_info(device)[0])
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    import psutil

    return int(psutil.virtual_memory().available)


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor of the host's; from pinned memory to a GPU, so that the CPU need not wait until the GPU has caught up."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type in PINNED else tensor.to(device)


def device_name(device: torch.device) -> str:
    """As its maker calls it, where torch knows that."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return str(torch.xpu.get_device_name(device)) if device.type == "xpu" else str(device)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device's memory, or the host's, is full."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and ("out of memory" in str(error) or "not enough memory" in str(error))
    )


def return_freed_memory() -> None:
    """Have glibc give freed memory of 4 MiB and more back to the system at once: by itself it keeps what it thinks is asked for
    again, in pieces, of which a large model's restored weights leave some GiB. Other systems need no telling."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL("libc.so.6").mallopt(M_MMAP_THRESHOLD, 4 * 2**20)


def forget_unused(device: torch.device) -> None:
    """Give memory that nothing uses back to the device, so that other shapes find it in one piece."""
    module = getattr(torch, device.type, None)
    if module is not None and hasattr(module, "empty_cache"):
        module.empty_cache()


def halving(
    items: Sequence[Item], work: Callable[[Sequence[Item]], Made], device: torch.device, what: str
) -> Iterator[tuple[Sequence[Item], Made]]:
    """(some of the items, what is made of them together), with half as many at a time where there is no memory for more.

    Raises:
        PrepError: there is none for a single one.
    """
    try:
        made = work(items)
    except Exception as error:
        if not out_of_memory(error):
            raise
        if len(items) == 1:
            raise too_little_memory(device, what) from error
        made = None
    if made is not None:
        yield items, made
        return
    forget_unused(device)
    middle = len(items) // 2
    for part in (items[:middle], items[middle:]):
        yield from halving(part, work, device, what)


def too_little_memory(device: torch.device, what: str) -> PrepError:
    """The error that tells of it, with what is left to try."""
    return PrepError(
        f"{what} needs more memory than {device_name(device)} has free, even for one image",
        "close what else uses the device, give a smaller size, or --device cpu",
    )
