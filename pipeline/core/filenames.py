"""Names on disk: concepts flattened and read back, and names that every file system can hold."""

from __future__ import annotations

import fnmatch
import hashlib
import re
import unicodedata

LONGEST_BYTES = 200
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_REPEATS = re.compile(r"(\d{1,9})_(.+)", re.DOTALL)


def flat(concept: str) -> str:
    """`characters/fanart/Mihari` as one folder name, `characters~fanart~Mihari`; `concept_of` is its inverse.

    A `~` that belongs to a name becomes `%7E`, and a `%` is written `%25` where it would be read as such an escape.
    """
    return "~".join(re.sub("%(?=7E|25)", "%25", part).replace("~", "%7E") for part in concept.split("/"))


def concept_of(folder: str) -> str:
    """The concept that `flat` wrote as this folder name."""
    signs = {"%7E": "~", "%25": "%"}
    return "/".join(re.sub("%7E|%25", lambda found: signs[found.group()], part) for part in folder.split("~"))


def without_repeats(folder: str) -> tuple[int, str] | None:
    """`24_name` as (24, "name"); None for any other name."""
    found = _REPEATS.fullmatch(folder)
    return (int(found[1]), found[2]) if found else None


def safe(name: str) -> str:
    """The name as it is where every file system can hold it, else the nearest one that they can."""
    name = re.sub(r'[<>:"/\\|?*\x00-\x1f\x7f]', "_", name)
    name = name[:-1] + "_" if name.endswith((".", " ")) else name
    name = "_" + name if _RESERVED.fullmatch(name) or name.startswith(" ") else name
    return shortened(name) if len(name.encode()) > LONGEST_BYTES else name


def shortened(name: str) -> str:
    """A name cut to length, distinguished from others cut alike by a digest of the whole."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    stem = name.encode()[: LONGEST_BYTES - 9].decode(errors="ignore").rstrip(". ")
    return f"{stem}-{digest}"


def fits_pattern(name: str, pattern: str) -> bool:
    """Whether a name is the pattern, or fits it: `*` and `?` stand for anything. Brackets are those of names, as in
    `images/[2024] trip/*`, or else the choices of fnmatch."""
    plain = pattern.replace("[", "[[]")
    return name == pattern or fnmatch.fnmatchcase(name, plain) or fnmatch.fnmatchcase(name, pattern)


def fits_concept(concept: str, pattern: str) -> bool:
    """Whether a concept path, or the end of one, fits a pattern: `art/artists/alder` fits `artists/*`."""
    return fits_pattern(concept, pattern) or fits_pattern(concept, f"*/{pattern}")


def same_file_key(path: str) -> str:
    """Equal for two paths that some file system takes for one: case and Unicode composition do not count."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
