"""What makes a UNet's steps faster on some devices: compiled blocks, channels last, TF32."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from pipeline.core.errors import PrepError

BLOCKS = ("BasicTransformerBlock", "ResnetBlock2D")
"""diffusers' classes of which a UNet holds many alike."""
BACKEND = "inductor"


def compile_blocks(unet: nn.Module, device: torch.device) -> int:
    """Have the repeated blocks compiled when they are first run, for any size of image; returns how many they are.

    Only the blocks, not the UNet as a whole, so that starting takes a part of the time ("regional compilation", PyTorch's
    recipe of that name). Adapters on their layers are compiled with them.

    Raises:
        PrepError: nothing can be compiled for the device here.
    """
    refuse_no_compiler(device)
    blocks = [module for module in unet.modules() if type(module).__name__ in BLOCKS]
    for block in blocks:
        block.compile(backend=BACKEND, dynamic=True)
    return len(blocks)


def refuse_no_compiler(device: torch.device) -> None:
    """Compile a sum, to know now what would fail in the first step."""
    one = torch.ones(2, device=device)
    try:
        torch.compile(_sum, backend=BACKEND)(one)
    except Exception as error:
        what = str(error).strip().partition("\n")[0]
        raise PrepError(
            f"compile: torch cannot compile for {device.type} here: {what}",
            "a GPU takes triton (Windows: pip install triton-windows), the CPU a C++ compiler; or leave compile out",
        ) from error


def _sum(one: Any) -> Any:
    return one + one


def put_channels_last(unet: nn.Module) -> None:
    """Lay the weights of convolutions out as (out, height, width, in)."""
    unet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@contextlib.contextmanager
def float32_products(tf32: bool) -> Iterator[None]:
    """Within, float32 is multiplied by NVIDIA's GPUs in TF32 or in full, as asked; afterwards as before."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
