"""What lies in a source: one record for a file, and what kind of thing its name or its first bytes make it."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.store.reasons.placement import PlacementReason
from pipeline.store.reasons.reason import Cause

RASTERS = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".tga", ".ppm", ".psd")
BRANDS = dict.fromkeys((b"avif", b"avis"), ".avif") | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"), ".heic"
)
"""Major brands of ISO files that are images (ISO/IEC 23008-12, AV1 Image File Format)."""
EXTENSIONS = frozenset((*RASTERS, ".avif", ".heic", ".heif", ".jxl"))
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
OTHER_ARCHIVES = (".7z", ".rar", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")
CAPTIONS = (".txt", ".caption")
DATA = (".json", ".jsonl", ".csv", ".parquet")
META = "_meta.json"
MULTIPLY = "multiply.txt"
NUMBERS = ("cond_dropout.txt", "flip_p.txt", "loss_scale.txt", "batch_id.txt", "shuffle_tags.txt")
EVERYDREAM = frozenset((*NUMBERS, "local.yaml", "local.yml", "global.yaml", "global.yml"))
"""Settings that EveryDream2trainer reads from a folder of images."""
IMAGE, CAPTION, TABLE, NUMBER, UNKNOWN = "image", "caption", "data", "number", "unknown"
HEADER_BYTES = 32
INSIDE = "!/"
"""What stands between an archive's path and an entry's name."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file or folder seen below a source. `problem` says why it cannot be used (None if it can).

    `path` is what it is known by: its path on disk, `ARCHIVE!/ENTRY`, or `hf://datasets/OWNER/NAME@SHA/PATH`; `file`
    is where its bytes lie when that is elsewhere. `concept` is the folder's path below the source, or the source's own
    name for what lies directly in it. `kind` is image, caption, data (json, jsonl, csv), number (multiply.txt),
    unknown (its first bytes would have to be read) or ""; `extension` what the content calls for when the name has no
    image's extension; `modified` is in ns; `link` where a followed link leads.
    """

    path: str
    concept: str
    kind: str = ""
    bytes: int = 0
    modified: int = 0
    extension: str = ""
    problem: Cause | None = None
    file: str = ""
    link: str = ""

    @property
    def place(self) -> str:
        """Where the bytes lie."""
        return self.file or self.path

    @property
    def folder(self) -> str:
        return cut(self.path)[0]

    @property
    def name(self) -> str:
        return cut(self.path)[1]


def cut(path: str) -> tuple[str, str]:
    """A path's folder and name; as text, for a Path for every file of a large source would take longer than the disk."""
    at = max(path.rfind("/"), path.rfind(os.sep))
    return (path[:at], path[at + 1 :]) if at >= 0 else ("", path)


def extension_of(path: str) -> str:
    """`.png` of `a/b.png`, "" where there is none, as in `.hidden`."""
    name = cut(path)[1]
    at = name.rfind(".")
    return name[at:] if 0 < at < len(name) - 1 else ""


def without_extension(path: str) -> str:
    return path.removesuffix(extension_of(path))


def is_meta(name: str) -> bool:
    """Whether a hidden file is what waifuc writes beside an image: `.NAME_meta.json`."""
    return name.startswith(".") and name.endswith(META) and len(name) > len(META) + 1


def kind_of(name: str) -> tuple[str, Cause | None]:
    """(kind, problem) of a file, by its name alone."""
    name = name.lower()
    suffix = extension_of(name)
    if name.startswith("."):
        return (TABLE, None) if is_meta(name) else ("", Cause(PlacementReason.HIDDEN))
    if suffix in EXTENSIONS:
        return IMAGE, None
    if name in EVERYDREAM:
        return "", Cause(PlacementReason.EVERYDREAM_SETTING)
    if name == MULTIPLY:
        return NUMBER, None
    if suffix in CAPTIONS:
        return CAPTION, None
    if suffix in DATA:
        return TABLE, None
    if name.endswith(ARCHIVES):
        return "", Cause(PlacementReason.ARCHIVE)
    if name.endswith(OTHER_ARCHIVES):
        return "", Cause(PlacementReason.ARCHIVE_UNKNOWN)
    return UNKNOWN, None


def sniffed(found: Found) -> Found:
    """An unknown file as its first bytes show it: an image with the extension it should have, or no image."""
    if found.kind != UNKNOWN:
        return found
    try:
        with Path(found.place).open("rb") as stream:
            extension = image_extension(stream.read(HEADER_BYTES))
    except OSError as error:
        return replace(found, kind="", problem=Cause(PlacementReason.UNREADABLE, {"why": error.strerror}))
    if extension:
        return replace(found, kind=IMAGE, extension=extension)
    return replace(found, kind="", problem=Cause(PlacementReason.NOT_AN_IMAGE))


def image_extension(header: bytes) -> str:
    """The extension for an image that begins with these bytes, "" for anything else."""
    for extension, magic in (
        (".png", b"\x89PNG\r\n\x1a\n"),
        (".jpg", b"\xff\xd8\xff"),
        (".gif", b"GIF8"),
        (".jxl", b"\xff\x0a"),
        (".jxl", b"\0\0\0\x0cJXL \r\n\x87\n"),
        (".tif", b"II*\0"),
        (".tif", b"MM\0*"),
        (".psd", b"8BPS"),
    ):
        if header.startswith(magic):
            return extension
    if header[:4] == b"RIFF" and header[8:12] == b"WEBP":
        return ".webp"
    if header[4:8] == b"ftyp":
        return BRANDS.get(header[8:12], "")
    return ".bmp" if header[:2] == b"BM" and header[6:10] == b"\0\0\0\0" else ""


def concept_at(parts: tuple[str, ...], source_name: str) -> str:
    """The concept of what lies in a folder of a source, composed (NFC) as every system but one writes names."""
    return unicodedata.normalize("NFC", "/".join(parts) or source_name)


def printable(text: str) -> str:
    """A name that is not UTF-8 as a text that can be stored: its odd bytes as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def is_utf8(text: str) -> bool:
    """Whether a name can be stored as it is."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
