"""A look at source folders: every file in them, and what kind of thing it is."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from pipeline.errors import PrepError

EXTENSIONS = frozenset(
    (
        ".png",
        ".jpg",
        ".jpeg",
        ".jfif",
        ".webp",
        ".bmp",
        ".gif",
        ".tif",
        ".tiff",
        ".avif",
        ".heic",
        ".heif",
        ".jxl",
        ".tga",
        ".ppm",
        ".psd",
    )
)
HEADER_BYTES = 32


@dataclass(frozen=True, slots=True)
class Found:
    """A file or folder seen below a source. `problem` says why it cannot be a picture or a caption ("" if it can).

    `concept` is the folder's path below the source, or the source's own name for what lies directly in it;
    `kind` is `picture`, `caption` or "" for anything else; `extension` what the content calls for when the name has
    no picture's extension; `modified` is in ns.
    """

    path: str
    concept: str
    kind: str = ""
    bytes: int = 0
    modified: int = 0
    device: int = 0
    extension: str = ""
    problem: str = ""


def scan(sources: Iterable[Path]) -> tuple[Found, ...]:
    """Everything below the sources in a fixed order; a path that two sources reach is told once.

    Raises:
        PrepError: a source is itself a set.
    """
    found: dict[str, Found] = {}
    for source in sources:
        if (source / "manifest.db").exists() or (source.name == "images" and (source.parent / "manifest.db").exists()):
            raise PrepError(
                f"{source} is a set, not a folder of source pictures", "name the folders the set was made from"
            )
        for thing in _walk(source):
            found.setdefault(thing.path, thing)
    return tuple(found.values())


def _walk(source: Path) -> Iterator[Found]:
    root = os.path.realpath(source)
    pending: list[tuple[str, tuple[str, ...], frozenset[str]]] = [(str(source), (), frozenset((root,)))]
    while pending:
        folder, parts, above = pending.pop()
        concept = unicodedata.normalize("NFC", "/".join(parts) or source.name)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            yield Found(folder, concept, problem=f"folder cannot be read: {error.strerror}")
            continue
        if parts and any(entry.name == "manifest.db" for entry in entries):
            yield Found(folder, concept, problem="a set of prep")
            continue
        below = []
        for entry in entries:
            seen = _look(entry, concept)
            if seen is not None:
                yield seen
                continue
            real = os.path.realpath(entry.path)
            if real in above:
                yield Found(entry.path, concept, problem="link loop")
            else:
                below.append((entry.path, (*parts, entry.name), above | {real}))
        pending.extend(reversed(below))


def _look(entry: os.DirEntry[str], concept: str) -> Found | None:
    """What an entry is; None for a folder to go into."""
    if not _is_utf8(entry.path):
        return Found(
            entry.path.encode(errors="surrogateescape").decode(errors="replace"),
            _readable(concept),
            problem="name is not UTF-8",
        )
    if entry.name.startswith("."):
        return Found(entry.path, concept, problem="hidden")
    try:
        status = entry.stat()
    except OSError as error:
        broken = "broken link" if entry.is_symlink() else f"cannot be read: {error.strerror}"
        return Found(entry.path, concept, problem=broken)
    if stat.S_ISDIR(status.st_mode):
        return None
    if not stat.S_ISREG(status.st_mode):
        return Found(entry.path, concept, problem="not a regular file")
    suffix = PurePath(entry.name).suffix.lower()
    kind, extension, problem = "picture", "", ""
    if suffix == ".txt":
        kind = "caption"
    elif suffix not in EXTENSIONS:
        extension, problem = _sniff(entry.path)
        kind = "picture" if extension else ""
    return Found(entry.path, concept, kind, status.st_size, status.st_mtime_ns, status.st_dev, extension, problem)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _readable(text: str) -> str:
    return text.encode(errors="surrogateescape").decode(errors="replace")


def _sniff(path: str) -> tuple[str, str]:
    """(extension, "") for a file whose first bytes are a picture's, else ("", why not)."""
    try:
        with Path(path).open("rb") as stream:
            extension = picture_extension(stream.read(HEADER_BYTES))
    except OSError as error:
        return "", f"cannot be read: {error.strerror}"
    return extension, "" if extension else "not a picture"


def picture_extension(header: bytes) -> str:
    """The extension for a picture that begins with these bytes, "" for anything else."""
    for extension, magic in (
        (".png", b"\x89PNG\r\n\x1a\n"),
        (".jpg", b"\xff\xd8\xff"),
        (".gif", b"GIF8"),
        (".jxl", b"\xff\x0a"),
    ):
        if header.startswith(magic):
            return extension
    if header[:4] == b"RIFF" and header[8:12] == b"WEBP":
        return ".webp"
    if header[4:8] == b"ftyp":
        brands = {b"avif": ".avif", b"avis": ".avif", b"heic": ".heic", b"heix": ".heic", b"mif1": ".heic"}
        return brands.get(header[8:12], "")
    return ".bmp" if header[:2] == b"BM" and header[6:10] == b"\0\0\0\0" else ""
