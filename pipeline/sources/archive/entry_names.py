"""Names of archive entries: read in the encoding they were meant in, and refused where they would lead out."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence

from pipeline.core.errors import PrepError
from pipeline.sources.archive.zip_names import Reading, read_names
from pipeline.sources.source_file import is_utf8, printable
from pipeline.store.reasons.placement import PlacementReason as P
from pipeline.store.reasons.reason import Cause


def checked(name: str) -> tuple[str, str, int, str, Cause | None]:
    """An entry's name without empty and `.` parts, with the reason where it cannot be used."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    plain = printable("/".join(parts))
    problem = None
    if not is_utf8(name):
        problem = Cause(P.NAME_NOT_UTF8)
    elif "\\" in name:
        problem = Cause(P.ENTRY_BACKSLASH)
    elif name.startswith("/") or ".." in parts or name[1:2] == ":" or "\0" in name or not parts:
        problem = Cause(P.ENTRY_LEADS_OUT)
    return plain if not problem else printable(name) or "(no name)", "", 0, "", problem


def zip_names(listed: Sequence[zipfile.ZipInfo], encoding: str, archive: str, mended: bool = False) -> Reading:
    """Every entry's name, and the code page of those that the zip does not call UTF-8, "" where none needs one.

    Args:
        mended: some names were called UTF-8 and are not; where no code page is believed they stay what they are, so that each
            is refused by itself.
    Raises:
        PrepError: as `read_names`.
    """
    raw = {place: name for place, info in enumerate(listed) if (name := _raw(info)) is not None}
    try:
        reading = read_names(list(raw.values()), encoding, archive) if raw else Reading("", ())
    except PrepError:
        if not mended:
            raise
        reading = Reading("", tuple(name.decode("utf-8", "surrogateescape") for name in raw.values()))
    names: list[str] = [info.orig_filename for info in listed]
    for place, read in zip(raw, reading.names, strict=True):
        names[place] = read
    odd = bool(reading.encoding) and any(not name.isascii() for name in reading.names)
    return Reading(reading.encoding if odd else "", tuple(names))


def _raw(info: zipfile.ZipInfo) -> bytes | None:
    """A name's bytes, None where the zip says that they are UTF-8."""
    if info.flag_bits & 0x800:
        return None
    try:
        return info.orig_filename.encode("cp437")
    except UnicodeEncodeError:
        return None
