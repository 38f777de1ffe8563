"""The header of a safetensors file: names, shapes, number formats and metadata, read without a weight; no torch here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from pipeline.core.errors import PrepError
from train.models.loading.container import LARGEST, container_of

PICKLED = (".ckpt", ".pt", ".pth", ".bin")
"""Endings of files that hold a pickle."""


@dataclass(frozen=True, slots=True)
class Header:
    """`shapes` and `dtypes` of all weights by name, these as safetensors writes them (BF16), and the `metadata` written
    beside them; the weights begin at the byte `start`, and `offsets` are where each begins and ends from there."""

    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]
    metadata: Mapping[str, str]
    start: int
    offsets: Mapping[str, tuple[int, int]]


def read_header(file: Path) -> Header:
    """Read and check a header.

    Raises:
        PrepError: the file is missing, a pickle, no sound safetensors file, or shorter than its header says.
    """
    if not file.is_file():
        raise PrepError(f"there is no file {file}", "check the path")
    refuse_others(file)
    try:
        entries, start = _entries(file)
        needed = start + max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
        if needed > file.stat().st_size:
            raise PrepError(
                f"{file} is cut off: its header tells of {needed} bytes, it has {file.stat().st_size}",
                "download it again",
            )
        offsets = {
            name: (int(entry["data_offsets"][0]), int(entry["data_offsets"][1])) for name, entry in entries.items()
        }
        with safe_open(file, framework="numpy") as opened:
            metadata = dict(opened.metadata() or {})
        shapes = {name: tuple(int(side) for side in entry["shape"]) for name, entry in entries.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        raise PrepError(
            f"{file} is not a readable safetensors file: {error}",
            "it may be cut short or be of another kind: get it anew",
        ) from error
    return Header(shapes, {name: str(entry["dtype"]) for name, entry in entries.items()}, metadata, start, offsets)


def refuse_others(file: Path) -> None:
    """See that a file is not one of another kind, whatever its name says.

    Raises:
        PrepError: it is a pickle, a saved page, or stands for a file that was not fetched.
    """
    try:
        kind = container_of(file)
    except OSError as error:
        raise PrepError(f"{file} cannot be read: {error}", "check the file and its permissions") from error
    if kind == "pickle" or (kind != "safetensors" and file.suffix.lower() in PICKLED):
        raise PrepError(
            f"{file} is a pickle, which could run code when opened", "take it as .safetensors, which most sites offer"
        )
    if kind == "pointer":
        raise PrepError(f"{file} only stands for a file in Git LFS that was not fetched", "fetch it with: git lfs pull")
    if kind == "page":
        raise PrepError(
            f"{file} is a web page, not a file of weights", "download it again; the site may ask for a login"
        )


def _entries(file: Path) -> tuple[dict[str, Any], int]:
    """What the header says of each weight, and where it ends."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > LARGEST:
            raise ValueError(f"its header of {length} bytes is too long")
        raw = stream.read(length)
    if not 2 <= length == len(raw):
        raise ValueError("it does not begin with a header")
    entries = dict(json.loads(raw))
    entries.pop("__metadata__", None)
    return entries, 8 + length
