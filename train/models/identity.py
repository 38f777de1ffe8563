"""What identifies a base model, hashed once for each file of it."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.errors import PrepError
from pipeline.core.files import file_digest
from pipeline.store.manifest import Manifest


def base_identity(manifest: Manifest, name: str, revision: str | None, vae: str | None = None) -> str:
    """A digest of the base model's files and of another VAE's, or a word for what is not on this machine yet."""
    from train.models.locate import find_folder, find_vae, folder_digest

    try:
        folders = [find_folder(name, revision, download=False)]
        folders += [find_vae(vae, download=False)] if vae else []
    except PrepError:
        return "not downloaded"
    known, new = manifest.known_files(), []

    def digest(file: Path) -> str:
        stat, key = file.stat(), str(file)
        size, modified, content = known.get(key, (-1, -1, ""))
        if (size, modified) != (stat.st_size, stat.st_mtime_ns):
            content = file_digest(file)
            new.append((key, stat.st_size, stat.st_mtime_ns, content))
        return content

    identity = " ".join(folder_digest(folder, digest) for folder in folders)
    if new:
        with manifest.transaction():
            manifest.put_files(new)
    return identity
