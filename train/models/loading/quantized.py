"""Weights that are stored in 8 bits beside a scale, brought back to what they stand for; no torch is loaded here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.errors import PrepError

if TYPE_CHECKING:
    from torch import Tensor

MULTIPLIED = (".scale_weight", ".weight_scale")
"""Endings of scales beside a layer's `.weight`: w = stored · scale, of all of it or of each output (ComfyUI's scaled fp8 and
int8)."""
ABSMAX = ".SCB"
"""bitsandbytes' int8: w = stored · SCB / 127, SCB for each output (Dettmers et al. 2022, arXiv:2208.07339)."""
IGNORED = (".scale_input", ".input_scale", ".comfy_quant", ".weight_format")
"""What only running in 8 bits needs."""
MARKER = "scaled_fp8"
PACKED = (".absmax", ".quant_map", ".nested_absmax", ".qweight", ".qzeros", "weight_scale_2", ".weight_scale_inv")
"""What is only beside weights of 4 bits, or of scales by blocks."""
INTEGERS = frozenset({"I8", "U8", "I16", "U16", "I32", "U32", "I64", "U64", "BOOL"})
"""Number formats of weights that stand for nothing without a scale."""


def scales_of(names: Iterable[str]) -> dict[str, str]:
    """Weight → the name of its scale."""
    found = {}
    for name in names:
        for ending in (*MULTIPLIED, ABSMAX):
            if name.endswith(ending):
                found[f"{name.removesuffix(ending)}.weight"] = name
    return found


def beside(name: str) -> bool:
    """Whether it is no weight, but tells something of one."""
    return name.endswith((*MULTIPLIED, ABSMAX, *IGNORED)) or name.rpartition(".")[2] == MARKER


def check_quantized(file: Path, dtypes: Mapping[str, str]) -> None:
    """See that every weight stands for a number that is known.

    Args:
        dtypes: of all weights, as safetensors names them.
    Raises:
        PrepError: the file is quantized in a way that is not read.
    """
    packed = next((name for name in dtypes if name.endswith(PACKED) or ".quant_state." in name), None)
    scaled = scales_of(dtypes)
    whole = [
        name
        for name, dtype in dtypes.items()
        if dtype in INTEGERS and name.endswith((".weight", ".bias")) and name not in scaled
    ]
    if packed or whole:
        what = f"it has {packed}" if packed else f"{whole[0]} is in {dtypes[whole[0]].lower()} without a known scale"
        raise PrepError(
            f"{file} is quantized in a way that is not read: {what}",
            "take the model in fp16, bf16 or fp32, as it was before it was quantized",
        )


def restored(file: Path, name: str, stored: Tensor, scales: Mapping[str, str], read: Callable[[str], Tensor]) -> Tensor:
    """A weight as it is, and in float32 what one in 8 bits stands for.

    Raises:
        PrepError: its scale is of another shape than one number, or one for each output.
    """
    scale_name = scales.get(name)
    if scale_name is None:
        return stored
    scale = read(scale_name).float()
    if scale.numel() not in (1, stored.shape[0] if stored.dim() else 1):
        raise PrepError(
            f"{file} is quantized in a way that is not read: {scale_name} is {list(scale.shape)} for a weight of "
            f"{list(stored.shape)}",
            "take the model in fp16, bf16 or fp32, as it was before it was quantized",
        )
    if scale_name.endswith(ABSMAX):
        scale = scale / 127
    return stored.float() * scale.reshape(-1, *[1] * (stored.dim() - 1) if scale.numel() > 1 else ())
