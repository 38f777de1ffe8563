"""Names of archive entries: read in the encoding they were meant in, and refused where they would lead out."""

from __future__ import annotations

import re
import zipfile

from pipeline.sources.source_file import is_utf8, printable
from pipeline.store.reasons.placement import PlacementReason as P
from pipeline.store.reasons.reason import Cause

_JAPANESE = re.compile(r"[\x00-\x7f\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]*")
_KANA_OR_KANJI = re.compile(r"[\u3041-\u30ff\u3400-\u9fff]")


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


def zip_name(info: zipfile.ZipInfo) -> str:
    """An entry's name. Where the zip does not say that it is UTF-8 it may be all the same, or Japanese (cp932)."""
    if info.flag_bits & 0x800:
        return info.orig_filename
    try:
        raw = info.orig_filename.encode("cp437")
    except UnicodeEncodeError:
        return info.orig_filename
    for encoding in ("utf-8", "cp932"):
        try:
            name = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding == "utf-8" or (_JAPANESE.fullmatch(name) and _KANA_OR_KANJI.search(name)):
            return name
    return info.orig_filename
