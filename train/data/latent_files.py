"""Files of cached latents: SET/cache/latents/ab/ab….safetensors, each named for all that it depends on, with a checksum of
what it holds. No torch here, so that a cache can be looked through without a model."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from pipeline.core.files import write_bytes, write_text
from train.data.augmentation import ImageView

VERSION = "2"
VAES = "vaes.json"
"""Digest of each VAE that encoded what lies there → the base models it was used with."""
END = ".safetensors"
CHECKSUM = "sha256"
FLOAT32, IN = "float32", " in "
Array = NDArray[np.float32]
Shape = tuple[int, int, int]
_FOLDER = re.compile("[0-9a-f]{2}")


class Damaged(Exception):
    """A file does not hold the latent that was written; the words say why."""


@dataclass(frozen=True, slots=True)
class Removed:
    """What `trim` took away."""

    files: int
    bytes: int


def vae_label(digest: str, precision: str) -> str:
    """What a latent's name and the note of VAEs know a VAE by: the digest of its weights, and the precision in which it
    encodes where that is not float32."""
    return digest if precision == FLOAT32 else f"{digest}{IN}{precision}"


def precision_of(label: str) -> str:
    """The precision in a label that `vae_label` made."""
    return label.partition(IN)[2] or FLOAT32


def latent_name(image: ImageView, vae: str) -> str:
    """64 hexadecimal digits for a view of an image and the VAE, given by its digest and precision, that encodes it."""
    return hashlib.sha256(f"{VERSION}\0{image.key}\0{vae}".encode()).hexdigest()


def latent_file(folder: Path, name: str) -> Path:
    return folder / name[:2] / f"{name}{END}"


def latent_shape(image: ImageView, factor: int, channels: int) -> Shape:
    """(C, h, w) of the latent of a view by a VAE that makes one latent pixel of `factor` pixels along a side."""
    width, height = image.size
    return channels, height // factor, width // factor


@dataclass(frozen=True, slots=True)
class Needed:
    """Latents by name: all that views need, those of them whose file is missing or not as long as it must be, and how many
    bytes it has where there is one."""

    views: Mapping[str, ImageView]
    missing: Mapping[str, ImageView]
    damaged: Mapping[str, int]


def needed(folder: Path, views: Iterable[ImageView], vae: str, factor: int, channels: int) -> Needed:
    """What of these views' latents is to be encoded. Files are judged by their sizes alone here, so that a full cache costs
    next to nothing; what they hold is checked when it is first read.

    Args:
        vae: digest and precision of the VAE, as `latent_name` takes it.
    """
    distinct, sizes = {latent_name(view, vae): view for view in views}, lying(folder)
    one_of_each = {view.bucket.size: view for view in distinct.values()}
    lengths = {size: file_bytes(latent_shape(view, factor, channels)) for size, view in one_of_each.items()}
    missing = {name: view for name, view in distinct.items() if sizes.get(name) != lengths[view.bucket.size]}
    return Needed(distinct, missing, {name: sizes[name] for name in missing if name in sizes})


def write_latent(file: Path, mean: Array, std: Array) -> None:
    """Write (C, h, w) mean and standard deviation, whole or not at all.

    Raises:
        PrepError: the disk has no room for them.
    """
    write_bytes(file, _packed(mean, std, _checksum(mean, std)))


def read_latent(file: Path, shape: Shape | None = None, check: bool = True) -> tuple[Array, Array]:
    """Mean and spread, of this shape if one is given.

    Raises:
        Damaged: the file is missing or not whole, holds something else, or with `check` does not fit its checksum.
    """
    try:
        with safe_open(file, framework="numpy") as opened:
            mean, std = (np.array(opened.get_tensor(name)) for name in ("mean", "spread"))
            noted = (opened.metadata() or {}).get(CHECKSUM)
    except (OSError, SafetensorError, ValueError, TypeError) as error:
        raise Damaged(str(error)) from error
    if {mean.dtype, std.dtype} != {np.dtype(np.float32)} or mean.shape != std.shape or mean.ndim != 3:
        raise Damaged("it holds no mean and spread of a latent")
    if shape is not None and mean.shape != shape:
        raise Damaged(f"it holds a latent of {mean.shape} instead of {shape}")
    if check and noted != _checksum(mean, std):
        raise Damaged("it does not fit its checksum")
    return mean, std


@lru_cache(maxsize=256)
def file_bytes(shape: Shape) -> int:
    """How long the file of a (C, h, w) latent is, to the byte."""
    nothing = np.zeros(shape, np.float32)
    return len(_packed(nothing, nothing, "0" * 64))


def _packed(mean: Array, std: Array, checksum: str) -> bytes:
    return save({"mean": np.ascontiguousarray(mean), "spread": np.ascontiguousarray(std)}, {CHECKSUM: checksum})


def _checksum(mean: Array, std: Array) -> str:
    return hashlib.sha256(mean.tobytes() + std.tobytes()).hexdigest()


def note_vae(folder: Path, vae: str, base: str) -> None:
    """Note which base model a VAE's latents are for, so that it is known later which ones are still used."""
    known = vaes(folder)
    if base not in known.get(vae, ()):
        noted = {**known, vae: sorted({*known.get(vae, ()), base})}
        write_text(folder / VAES, json.dumps(noted, indent=1, ensure_ascii=False) + "\n")


def vaes(folder: Path) -> dict[str, list[str]]:
    """What `note_vae` noted; nothing where the note is missing or cannot be read."""
    try:
        noted = json.loads((folder / VAES).read_text(encoding="utf-8"))
        return {str(vae): [str(base) for base in bases] for vae, bases in noted.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def lying(folder: Path) -> dict[str, int]:
    """Name → bytes of every latent's file; what is named otherwise, or is a link, is none of them."""
    found = {}
    for inner in _scanned(folder):
        if _FOLDER.fullmatch(inner.name) and inner.is_dir(follow_symlinks=False):
            ours = re.compile(f"{inner.name}[0-9a-f]{{62}}{re.escape(END)}").fullmatch
            for entry in _scanned(Path(inner.path)):
                if ours(entry.name) and entry.is_file(follow_symlinks=False):
                    found[entry.name[: -len(END)]] = entry.stat(follow_symlinks=False).st_size
    return found


def _scanned(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def verify(folder: Path) -> Iterator[tuple[str, str]]:
    """(name, why it is damaged, "" where it is not) of every latent's file, each read whole."""
    for name in sorted(lying(folder)):
        try:
            read_latent(latent_file(folder, name))
        except Damaged as damage:
            yield name, str(damage) or "it cannot be read"
        else:
            yield name, ""


def trim(folder: Path, used: Collection[str]) -> Removed:
    """Remove the files of latents whose names are not among those used; nothing else in the folder is touched."""
    unused = {name: size for name, size in lying(folder).items() if name not in used}
    for name in unused:
        latent_file(folder, name).unlink(missing_ok=True)
    return Removed(len(unused), sum(unused.values()))
