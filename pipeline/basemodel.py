"""What identifies a base model, hashed once for each file of it."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import PrepError
from pipeline.files import file_digest
from pipeline.manifest import Manifest


def base_identity(manifest: Manifest, name: str, revision: str | None) -> str:
    """A digest of the base model's files, or a word for one that is not on this machine yet."""
    from train.folder import find_folder, folder_digest

    try:
        folder = find_folder(name, revision, download=False)
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

    identity = folder_digest(folder, digest)
    if new:
        with manifest.transaction():
            manifest.put_files(new)
    return identity
