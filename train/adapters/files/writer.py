"""Write safetensors files tensor by tensor, so that a checkpoint never has to fit into memory, with their hashes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from pipeline.core.disk_space import full_disk_told, refuse_full
from pipeline.core.errors import PrepError
from pipeline.core.files import replacing
from train.adapters.files.layer import Layer

FORMATS = {
    torch.int64: "I64",
    torch.float64: "F64",
    torch.float32: "F32",
    torch.int32: "I32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int16: "I16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""What safetensors calls number formats, in the order in which its library lays tensors out, so that both give one file's
weights the same hash."""
ORDER = {name: position for position, name in enumerate(FORMATS.values())}
LEGACY_START, LEGACY_LENGTH = 0x100000, 0x10000
CHUNK = 2**22


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """A tensor's dtype and shape, and where its bytes stand in the spool."""

    dtype: str
    shape: list[int]
    start: int
    length: int


@dataclass(slots=True)
class Writing:
    """Tensors written so far: their bytes in `spool`, where they are in `entries`."""

    spool: IO[bytes]
    entries: dict[str, TensorEntry] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)

    def add(self, key: str, tensor: Tensor) -> None:
        """Write a tensor as it is; a key may come once.

        Raises:
            PrepError: its number format is not one that can be written here.
        """
        assert key not in self.entries, key
        if tensor.dtype not in FORMATS:
            raise PrepError(f"{key} is in {tensor.dtype}, which cannot be written", "convert the model to fp16 first")
        tensor = tensor.detach().cpu().contiguous()
        raw = tensor.flatten().view(torch.uint8).numpy().tobytes() if tensor.numel() else b""
        start = self.spool.tell()
        self.spool.write(raw)
        self.entries[key] = TensorEntry(FORMATS[tensor.dtype], list(tensor.shape), start, len(raw))

    def add_layer(self, layer: Layer, dtype: torch.dtype) -> None:
        """Write a layer's weights in `dtype`, but alpha in float32 where `dtype` would change it and so the strength.

        Raises:
            PrepError: a weight is too large for it.
        """
        for suffix, tensor in layer.tensors.items():
            kept = tensor.to(torch.int64) if suffix == "on_input" else tensor.to(dtype)
            if suffix == "alpha" and float(kept) != float(tensor):
                kept = tensor.float()
            if kept.is_floating_point() and not bool(torch.isfinite(kept).all()):
                raise PrepError(
                    f"{layer.name}.{suffix} holds values too large for {str(dtype).removeprefix('torch.')}",
                    "write it with --dtype fp32 or bf16",
                )
            self.add(f"{layer.name}.{suffix}", kept)


@contextlib.contextmanager
def writing(target: Path, hashed: bool = True, needed: int = 0) -> Iterator[Writing]:
    """A file that comes to be when the block ends well; with `hashed`, sshs_model_hash and sshs_legacy_hash are put in.

    Args:
        needed: bytes of all tensors, where that is known; they lie on the disk twice until the file is whole.
    Raises:
        PrepError: the disk has no room for them.
    """
    with full_disk_told(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        refuse_full(target, 2 * needed)
        with tempfile.TemporaryFile(dir=target.parent) as spool:
            found = Writing(spool)
            yield found
            with replacing(target, spool.tell()) as temporary:
                _assemble(found, temporary, hashed)


def _assemble(found: Writing, target: Path, hashed: bool) -> None:
    order = sorted(found.entries, key=lambda key: (ORDER[found.entries[key].dtype], key))
    metadata = dict(found.metadata)
    if hashed:
        metadata |= _hashes(found, order, metadata)
    with target.open("wb") as out:
        out.write(header(found.entries, order, metadata))
        for chunk in _payload(found, order):
            out.write(chunk)


def header(entries: Mapping[str, TensorEntry], order: list[str], metadata: Mapping[str, str]) -> bytes:
    """The length and JSON that stand before the weights, padded to whole eights, as safetensors writes them."""
    content: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    offset = 0
    for key in order:
        entry = entries[key]
        offsets = [offset, offset + entry.length]
        content[key] = {"dtype": entry.dtype, "shape": entry.shape, "data_offsets": offsets}
        offset += entry.length
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _payload(found: Writing, order: list[str]) -> Iterator[bytes]:
    for key in order:
        left = found.entries[key].length
        found.spool.seek(found.entries[key].start)
        while left:
            chunk = found.spool.read(min(CHUNK, left))
            left -= len(chunk)
            yield chunk


def _hashes(found: Writing, order: list[str], metadata: Mapping[str, str]) -> dict[str, str]:
    """What A1111 and the older additional-networks extension know the file by.

    sshs_model_hash is SHA-256 of all weights; sshs_legacy_hash the start of SHA-256 of 64 KiB from 1 MiB on, in a file
    whose metadata are the `ss_` ones alone, as kohya-ss/sd-scripts define it.
    """
    before = header(found.entries, order, {key: value for key, value in metadata.items() if key.startswith("ss_")})
    whole, legacy = hashlib.sha256(), hashlib.sha256()
    offset = len(before)
    legacy.update(before[LEGACY_START : LEGACY_START + LEGACY_LENGTH])
    for chunk in _payload(found, order):
        whole.update(chunk)
        start, end = max(LEGACY_START - offset, 0), LEGACY_START + LEGACY_LENGTH - offset
        if end > 0:
            legacy.update(chunk[start:end])
        offset += len(chunk)
    return {"sshs_model_hash": whole.hexdigest(), "sshs_legacy_hash": legacy.hexdigest()[:8]}


def payload_hash(path: Path, start: int) -> str:
    """SHA-256 in hex of a file's bytes from `start` on."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        stream.seek(start)
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def claim(target: Path, overwrite: bool, folder: bool = False) -> None:
    """See that an output can be written without losing anything.

    Raises:
        PrepError: something is there and may not be replaced, or it is to be a file and has another suffix.
    """
    if not folder and target.suffix != ".safetensors":
        raise PrepError(
            f"the output {target} must be a .safetensors file", f"write {target.with_suffix('.safetensors')}"
        )
    if target.is_dir() and not folder:
        raise PrepError(f"{target} is a folder", "give a file to write")
    if target.exists() and not overwrite:
        raise PrepError(f"{target} is there already", "choose another --output, or add --overwrite")
    if folder and target.exists() and not (target / "model_index.json").is_file():
        raise PrepError(f"{target} is no model folder, so it is not replaced", "choose another --output")


def replace_folder(made: Path, target: Path) -> None:
    """Put a folder in a target's place, the old one kept until the new one stands."""
    if not target.exists():
        made.replace(target)
        return
    old = made.with_name(made.name + ".old")
    target.replace(old)
    made.replace(target)
    shutil.rmtree(old)
