"""Files that an export should hold, each with a mark that says what it is made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.store.values.bucket import Bucket

SHARD_BYTES = 500_000_000
CROP, SHARD, STAMP = "crop:", "shard:", "stamp:"
"""How marks begin that do not tell the file's bytes; any other mark is the SHA-256 of them."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text file, as its bytes."""

    path: str
    data: bytes

    @property
    def mark(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class ExportedImage:
    """An image's file as it is. `content` tells `source`: the SHA-256 of its bytes, or a stamp."""

    path: str
    source: str
    content: str

    @property
    def mark(self) -> str:
        return self.content


@dataclass(frozen=True, slots=True)
class Crop:
    """An image's crop as a PNG. `content` tells `source`: the SHA-256 of its bytes, or a stamp; `bucket` says how it is
    scaled and cut."""

    path: str
    source: str
    content: str
    bucket: Bucket

    @property
    def mark(self) -> str:
        bucket = self.bucket
        made_by: dict[str, object] = {"scaled": bucket.scaled, "crop": bucket.crop}
        if bucket.background:
            made_by["background"] = bucket.background
        return CROP + _digest([self.content, made_by])


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive, and how many bytes it has at most."""

    file: Text | ExportedImage | Crop
    bytes: int


@dataclass(frozen=True, slots=True)
class Shard:
    """A tar archive of these members, in their order."""

    path: str
    members: tuple[Member, ...]

    @property
    def mark(self) -> str:
        return SHARD + _digest([[member.file.path, member.file.mark] for member in self.members])


Wanted = Text | ExportedImage | Crop | Shard


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout's files in order of path, warnings for the person, and rows worth printing, all with the same keys."""

    files: tuple[Wanted, ...]
    warnings: tuple[str, ...]
    table: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """How the set is to be written: into which folder (absolute), as crops or as it is, how large a shard may be."""

    root: Path
    folder: Path
    crops: bool = False
    shard_bytes: int = SHARD_BYTES

    def source(self, path: str) -> str:
        """Where a file of the set lies."""
        return f"{self.root}/{path}"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
