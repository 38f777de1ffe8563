"""The header of a safetensors file: names, shapes and metadata, read without a weight; no torch here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import PrepError

LIMIT = 100 * 2**20
"""Bytes above which a header is none."""


@dataclass(frozen=True, slots=True)
class Header:
    """`shapes` of all weights by name, and the `metadata` written beside them."""

    shapes: Mapping[str, tuple[int, ...]]
    metadata: Mapping[str, str]


def read_header(file: Path) -> Header:
    """Read and check a header.

    Raises:
        PrepError: the file is no safetensors file, or shorter than its header says.
    """
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            raw = stream.read(length) if 2 <= length <= LIMIT else b""
        entries = json.loads(raw) if len(raw) == length else None
        metadata = _words(entries.pop("__metadata__", None)) if isinstance(entries, dict) else {}
        shapes = {name: tuple(int(side) for side in entry["shape"]) for name, entry in (entries or {}).items()}
        needed = 8 + length + max((int(entry["data_offsets"][1]) for entry in (entries or {}).values()), default=0)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise PrepError(
            f"{file} cannot be read as safetensors: {error}", "give the file anew, or another one"
        ) from error
    if not shapes:
        raise PrepError(
            f"{file} is no safetensors file: it does not begin with a header", "give the file anew, or another one"
        )
    if needed > file.stat().st_size:
        raise PrepError(
            f"{file} is cut off: its header tells of {needed} bytes, it has {file.stat().st_size}", "download it again"
        )
    return Header(shapes, metadata)


def _words(metadata: Any) -> dict[str, str]:
    return {str(key): str(value) for key, value in metadata.items()} if isinstance(metadata, dict) else {}
