"""The weights of one file, each read when it is asked for: safetensors, or a .ckpt whose pickle runs no code."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.core.errors import PrepError
from train.models.loading.container import container_of
from train.models.loading.quantized import beside, check_quantized, restored, scales_of
from train.models.loading.safetensors_header import PICKLED, Header, read_header


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """What a file holds, without the scales that stand beside weights of 8 bits.

    `tensor(name)` reads one weight: as it is stored, or with its scale in float32; `stored(name)` anything as it is stored.
    `scaled` are the weights that have a scale.
    """

    file: Path
    shapes: Mapping[str, tuple[int, ...]]
    metadata: Mapping[str, str]
    tensor: Callable[[str], Tensor]
    stored: Callable[[str], Tensor]
    scaled: frozenset[str] = frozenset()


class _Callback:
    """Stands for a class that pytorch-lightning names in old checkpoints, which holds nothing and does nothing here."""


NUMBERS = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""Number formats by the names that safetensors has for them."""
FORMATS = {torch.int8: "I8", torch.uint8: "U8", torch.int16: "I16", torch.int32: "I32"}
"""What safetensors calls the number formats that weights are quantized to."""
HARMLESS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (_Callback, "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint"),
    (_Callback, "lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint"),
]


def open_weights(file: Path) -> Weights:
    """Open a file of weights.

    Raises:
        PrepError: it cannot be read, is cut off, or is a pickle that would run code.
    """
    if not file.is_file():
        raise PrepError(f"there is no file {file}", "check the path")
    if is_pickled(file):
        return _pickled(file)
    header = read_header(file)
    return _weights(file, header.shapes, header.dtypes, header.metadata, partial(_read, file, header))


def _read(file: Path, header: Header, name: str) -> Tensor:
    """One weight by a plain read: of a mapped file every page that was touched would count as taken memory."""
    start, end = header.offsets[name]
    kind = NUMBERS.get(header.dtypes[name])
    if kind is None:
        raise PrepError(
            f"{file} holds {name} in {header.dtypes[name]}, which is not read", "take the model in fp16, bf16 or fp32"
        )
    try:
        with file.open("rb", buffering=0) as stream:
            stream.seek(header.start + start)
            content = bytearray(end - start)
            rest = memoryview(content)
            while len(rest):
                got = stream.readinto(rest)
                if not got:
                    raise OSError("it ends too early")
                rest = rest[got:]
    except OSError as error:
        raise PrepError(f"{file} cannot be read: {error}", "download it again") from error
    if not content:
        return torch.empty(header.shapes[name], dtype=kind)
    return torch.frombuffer(content, dtype=kind).reshape(header.shapes[name])


def is_pickled(file: Path) -> bool:
    """Whether a file is read as a pickle: by its first bytes, and where they do not tell by its name.

    Raises:
        PrepError: it cannot be read.
    """
    try:
        kind = container_of(file)
    except OSError as error:
        raise PrepError(f"{file} cannot be read: {error}", "check the file and its permissions") from error
    return kind == "pickle" or (kind == "unknown" and file.suffix.lower() in PICKLED)


def _weights(
    file: Path,
    shapes: Mapping[str, tuple[int, ...]],
    dtypes: Mapping[str, str],
    metadata: Mapping[str, str],
    stored: Callable[[str], Tensor],
) -> Weights:
    check_quantized(file, dtypes)
    scales = {name: scale for name, scale in scales_of(shapes).items() if name in shapes}
    own = {name: shape for name, shape in shapes.items() if not beside(name)}

    def tensor(name: str) -> Tensor:
        return restored(file, name, stored(name), scales, stored)

    return Weights(file, own, metadata, tensor, stored, frozenset(scales))


def _pickled(file: Path) -> Weights:
    try:
        with torch.serialization.safe_globals(HARMLESS):
            read: Any = _loaded(file)
    except pickle.UnpicklingError as error:
        raise _refused(file, error) from error
    except Exception as error:
        raise PrepError(
            f"{file} cannot be read as a checkpoint: {_first_line(error)}",
            "download it again, or take the .safetensors of it",
        ) from error
    while isinstance(read, dict) and isinstance(read.get("state_dict"), dict):
        read = read["state_dict"]
    tensors = (
        {str(key): value for key, value in read.items() if isinstance(value, Tensor)} if isinstance(read, dict) else {}
    )
    if not tensors:
        raise PrepError(f"{file} holds no weights", "give a model's checkpoint")
    shapes = {key: tuple(value.shape) for key, value in tensors.items()}
    dtypes = {key: FORMATS.get(value.dtype, str(value.dtype)) for key, value in tensors.items()}
    return _weights(file, shapes, dtypes, {}, lambda name: tensors[name].clone())  # not mapped from the file


def _loaded(file: Path) -> Any:
    """Mapped into memory where the file is a zip archive, as torch has written them since version 1.6."""
    if file.suffix.lower() == ".safetensors":  # by which torch would take it for one
        with file.open("rb") as stream:
            return torch.load(stream, map_location="cpu", weights_only=True)
    with file.open("rb") as stream:
        zipped = stream.read(4) == b"PK\x03\x04"
    return torch.load(file, map_location="cpu", weights_only=True, mmap=zipped)


def _refused(file: Path, error: Exception) -> PrepError:
    try:
        found = ", ".join(sorted(torch.serialization.get_unsafe_globals_in_checkpoint(file))[:3])
    except Exception:
        found = ""
    return PrepError(
        f"{file} is a pickle that would run code ({found or _first_line(error)}) and is refused",
        "take the .safetensors of this model; do not load the file elsewhere unless you trust who made it",
    )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
