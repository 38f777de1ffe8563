"""Where a base model's files lie, and what identifies them; no torch here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from pipeline.core.errors import PrepError
from pipeline.core.files import expanded
from train.models.loading.hashes import remembered_digest

MINIATURE = "miniature"
PARTS = ("tokenizer", "text_encoder", "tokenizer_2", "text_encoder_2", "vae", "unet", "scheduler")
WANTED = ("model_index.json", *(f"{part}/*" for part in PARTS))
VAE_WANTED = ("config.json", "diffusion_pytorch_model.safetensors", "vae/*")
UNWANTED = ("*.bin", "*.ckpt", "*.msgpack", "*.onnx*", "*openvino*", "*fp16*", "*non_ema*")
SINGLE = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")
"""Endings of single files."""


def find_folder(name: str, revision: str | None, download: bool = True) -> Path:
    """The folder or single file of a base model: `miniature` in the package, a folder, a single file, or a hub repository
    pinned by `revision`.

    Raises:
        PrepError: there is none, or the files of the repository cannot be had (or, without `download`, are not on this
            machine yet).
    """
    if name == MINIATURE:
        return Path(str(resources.files("train.miniature") / "base"))
    location = expanded(name)
    if location.is_dir():
        return location
    if location.suffix.lower() in SINGLE:
        if location.is_file():
            return location
        raise PrepError(f"there is no base model {name}", "check the path, or give OWNER/NAME, or: miniature")
    if not is_repository(name):
        raise PrepError(
            f"base model {name!r} is neither a folder in diffusers format, nor a single file, nor a hub repository",
            "give a folder that holds model_index.json, a .safetensors file, OWNER/NAME, or: miniature",
        )
    folder = _downloaded(name, revision, WANTED, "base model", download)
    if any((folder / "unet").glob("*.safetensors")):
        return folder
    return _downloaded(name, revision, WANTED, "base model", download, half=True)


def find_vae(name: str, download: bool = True) -> Path:
    """The folder with the config of a VAE, or its single file, by a folder (its own or a whole model's), a file, or a hub
    repository, pinned as OWNER/NAME@REVISION.

    Raises:
        PrepError: as `find_folder`.
    """
    location = expanded(name)
    if location.suffix.lower() in SINGLE and not location.is_dir():
        if location.is_file():
            return location
        raise PrepError(f"there is no VAE {name}", "check the path")
    if not location.is_dir():
        repository, _, revision = name.partition("@")
        if not is_repository(repository):
            raise PrepError(
                f"vae {name!r} is neither a folder, nor a single file, nor a hub repository",
                "give a folder that holds config.json, a .safetensors file, or OWNER/NAME@REVISION",
            )
        location = _downloaded(repository, revision or None, VAE_WANTED, "VAE", download)
    for folder in (location / "vae", location):
        if (folder / "config.json").is_file():
            return folder
    raise PrepError(f"{location} is no VAE: it has no config.json", "give the folder of a VAE or of a model with one")


def is_repository(name: str) -> bool:
    return name.count("/") == 1 and not name.startswith((".", "/", "~")) and "\\" not in name


def _downloaded(
    name: str, revision: str | None, wanted: tuple[str, ...], what: str, download: bool, half: bool = False
) -> Path:
    """Weights in half precision are left out unless `half`, as where a repository holds no others."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                name,
                revision=revision,
                allow_patterns=list(wanted),
                ignore_patterns=[pattern for pattern in UNWANTED if not (half and pattern == "*fp16*")],
                local_files_only=not download,
            )
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PrepError(
            f"{what} {name} (revision {revision or 'main'}) cannot be downloaded: {first}",
            "check the name and the network, or give a local folder or file",
        ) from error


def folder_digest(location: Path, hash_file: Callable[[Path], str] = remembered_digest) -> str:
    """What identifies a base model, in hex: of a folder SHA-256 over the names and contents of all weights, configs and
    vocabularies, of a single file that of its bytes.

    Raises:
        PrepError: there is neither.
    """
    if location.is_file():
        return hash_file(location)
    if not location.is_dir():
        raise PrepError(f"there is no model at {location}", "check the path")
    digest = hashlib.sha256()
    for file in sorted(path for path in location.rglob("*") if path.suffix in (".safetensors", ".json", ".txt")):
        digest.update(f"{file.relative_to(location).as_posix()}\0{hash_file(file)}\0".encode())
    return digest.hexdigest()
