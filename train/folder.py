"""Where a base model's files lie, and what identifies them; no torch here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from pipeline.errors import PrepError
from pipeline.files import file_digest

MINIATURE = "miniature"
WANTED = ("model_index.json", "tokenizer/*", "text_encoder/*", "vae/*", "unet/*", "scheduler/*")
UNWANTED = ("*.bin", "*.ckpt", "*.msgpack", "*.onnx*", "*fp16*", "*non_ema*")


def find_folder(name: str, revision: str | None, download: bool = True) -> Path:
    """The folder of a base model: `miniature` in the package, a folder, or a hub repository pinned by `revision`.

    Raises:
        PrepError: there is no such folder, or the files of the repository cannot be had (or, without `download`, are
            not on this machine yet).
    """
    if name == MINIATURE:
        return Path(str(resources.files("train.miniature") / "base"))
    if Path(name).is_dir():
        return Path(name)
    if name.count("/") != 1 or name.startswith((".", "/")) or Path(name).suffix in (".safetensors", ".ckpt"):
        raise PrepError(
            f"base model {name!r} is neither a folder in diffusers format nor a hub repository",
            "give a folder that holds model_index.json, OWNER/NAME, or: miniature",
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                name,
                revision=revision,
                allow_patterns=list(WANTED),
                ignore_patterns=list(UNWANTED),
                local_files_only=not download,
            )
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PrepError(
            f"base model {name} (revision {revision or 'main'}) cannot be downloaded: {first}",
            "check the name and the network, or give a local folder in diffusers format as base",
        ) from error


def folder_digest(folder: Path, hash_file: Callable[[Path], str] = file_digest) -> str:
    """SHA-256 over the names and contents of all weights, configs and vocabularies of a model folder, in hex."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.suffix in (".safetensors", ".json", ".txt")):
        digest.update(f"{file.relative_to(folder).as_posix()}\0{hash_file(file)}\0".encode())
    return digest.hexdigest()
