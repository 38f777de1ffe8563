"""The base model and the VAE as an adapter file names them: without a folder of this machine, and by the hashes that kohya
writes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from train.adapters.files.writer import LEGACY_LENGTH, LEGACY_START
from train.adapters.metadata import published_name
from train.models.loading.hashes import remembered_digest


@dataclass(frozen=True, slots=True)
class ModelFile:
    """`name` as it may be published; `legacy_hash` and `sha256` are those of a single file, "" for a folder."""

    name: str
    legacy_hash: str = ""
    sha256: str = ""


def model_file(name: str) -> ModelFile:
    """What is said of a model that was given by a path or as a hub repository."""
    file = Path(name).expanduser()
    if not file.is_file():
        return ModelFile(published_name(name))
    return ModelFile(published_name(name), legacy_hash(file), remembered_digest(file))


def legacy_hash(file: Path) -> str:
    """The start of SHA-256 of 64 KiB from 1 MiB on, by which A1111 knew models first (`ss_sd_model_hash` in
    kohya-ss/sd-scripts)."""
    with file.open("rb") as stream:
        stream.seek(LEGACY_START)
        return hashlib.sha256(stream.read(LEGACY_LENGTH)).hexdigest()[:8]
