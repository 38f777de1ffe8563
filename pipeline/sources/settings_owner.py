"""Which file owns the settings of a set: its prep.toml, or the TOML file that prep run was given, which is written through."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

from pipeline.config.annotated import annotated_text
from pipeline.config.settings import FILE, Settings, load_settings, toml_text
from pipeline.core.errors import PrepError
from pipeline.core.files import write_text

_HEAD = re.compile(r"# The settings of this set are those of (.+); `prep run` writes them here \(([0-9a-f]{12})\)\.\n")


def remember(root: Path, before: Settings, now: Settings) -> None:
    """Write SET/prep.toml where there is none, where sources were added to one that prep wrote itself, or where it is the copy
    of another file's settings.

    Raises:
        PrepError: a person edited the copy, so that there would be two owners.
    """
    file = root / FILE
    if now.file is not None and now.file.absolute() != file.absolute():
        _write_through(file, now)
    elif (now.sources and not file.exists()) or (before.file == file and before.sources != now.sources):
        write_text(file, annotated_text(replace(now, path=None)))


def _write_through(file: Path, now: Settings) -> None:
    text = toml_text(replace(now, path=None))
    if file.exists():
        head, body = _parted(file)
        if head is None:
            return
        if head[2] != _digest(body):
            raise PrepError(
                f"{file} was edited, but the settings of this set are those of {head[1]}",
                f"make the change in {head[1]} and delete {file}; or delete its first line, and it owns the settings",
            )
    owner = now.file.absolute() if now.file else ""
    write_text(
        file, f"# The settings of this set are those of {owner}; `prep run` writes them here ({_digest(text)}).\n{text}"
    )


def same_settings(root: Path, settings: Settings) -> bool:
    """Whether SET/prep.toml says the same as these settings, is a copy of theirs, or is not there to say otherwise."""
    file = root / FILE
    if not file.exists() or _parted(file)[0] is not None:
        return True
    there = load_settings(file)
    return (there.sources, there.stages) == (settings.sources, settings.stages)


def owner_of(root: Path) -> str:
    """The file that owns the settings of a set whose prep.toml is a copy of it; "" where that owns them itself."""
    file = root / FILE
    head = _parted(file)[0] if file.exists() else None
    return head[1] if head else ""


def differing_owner(root: Path) -> str:
    """The file that owns the settings of a set and says something else now than its copy in the set; "" where none does."""
    file = root / FILE
    head = _parted(file)[0] if file.exists() else None
    if head is None or not Path(head[1]).exists():
        return ""
    owner, copy = load_settings(Path(head[1])), load_settings(file)
    return "" if (owner.sources, owner.stages) == (copy.sources, copy.stages) else head[1]


def _parted(file: Path) -> tuple[re.Match[str] | None, str]:
    """The line that names the owner, if there is one, and what stands behind it."""
    text = file.read_text(encoding="utf-8-sig")
    head = _HEAD.match(text)
    return head, text[head.end() :] if head else text


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
