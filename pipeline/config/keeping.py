"""Settings written into a prep.toml that a person keeps: everything else in it stays as it is, comments and order too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.config.settings import FILE, load_settings
from pipeline.core.files import write_text


def keep_setting(root: Path, section: str, name: str, value: Any) -> None:
    """Write one setting of a stage into SET/prep.toml, which is made where there is none.

    Raises:
        PrepError: the file cannot be read as settings; it is not written then.
    """
    import tomlkit

    file = root / FILE
    text = ""
    if file.exists():
        load_settings(file)
        text = file.read_text(encoding="utf-8-sig")
    document = tomlkit.parse(text)
    if section not in document:
        document[section] = tomlkit.table()
    kept: Any = value
    if isinstance(value, dict):
        kept = tomlkit.inline_table()
        kept.update(value)
    document[section][name] = kept
    write_text(file, tomlkit.dumps(document))
