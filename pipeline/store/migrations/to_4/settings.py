"""The set's prep.toml. It is a person's file: only the names of keys change, and a copy stays beside it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.core.files import write_bytes
from pipeline.store.migrations.to_4.names import OPTIONS, VALUES, renamed, with_new_values

FILE = "prep.toml"
KEPT = "prep.toml.v3"
_SECTION = re.compile(r"\s*\[\s*(?:\"([^\"]*)\"|'([^']*)'|([\w-]+))\s*\]\s*(?:#.*)?")
_KEY = re.compile(r"(\s*)([\w-]+)(?=\s*=)")


def bring_forward(root: Path) -> None:
    """Give the keys of a prep.toml their new names. One that cannot be read, or that names its keys in a way that is not
    understood here, stays as it is: whatever reads it says what is wrong in it."""
    file = root / FILE
    try:
        old = file.read_bytes()
        text = old.decode()
        before = tomllib.loads(text)
    except (OSError, ValueError):
        return
    new = _rewritten(text)
    if new == text or _parsed(new) != _named_anew(before):
        return
    if not (root / KEPT).exists():
        write_bytes(root / KEPT, old)
    write_bytes(file, new.encode())


def _rewritten(text: str) -> str:
    lines = []
    names: Mapping[str, str] = {}
    values: Mapping[str, Mapping[str, str]] = {}
    for line in text.splitlines(keepends=True):
        section = _SECTION.fullmatch(line.rstrip("\r\n"))
        if section is not None:
            name = next(filter(None, section.groups()), "")
            names, values = OPTIONS.get(name, {}), VALUES.get(name, {})
        key = _KEY.match(line)
        if key is not None:
            rest = line[key.end() :]
            for old, new in values.get(key[2], {}).items():
                rest = rest.replace(f'"{old}"', f'"{new}"').replace(f"'{old}'", f"'{new}'")
            line = key[1] + names.get(key[2], key[2]) + rest
        lines.append(line)
    return "".join(lines)


def _named_anew(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a prep.toml says, by the new names."""
    return {
        section: renamed(with_new_values(section, values), OPTIONS.get(section, {}))
        if isinstance(values, dict)
        else values
        for section, values in document.items()
    }


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except ValueError:
        return None
