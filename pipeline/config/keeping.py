"""Settings written into a prep.toml that a person keeps: everything else in it stays as it is, comments and order too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config.settings import FILE, load_settings
from pipeline.config.values import toml_value
from pipeline.core.errors import PrepError
from pipeline.core.files import write_text


def keep_settings(root: Path, section: str, values: Mapping[str, Any]) -> None:
    """Write settings of a stage into SET/prep.toml, which is made where there is none.

    Raises:
        PrepError: the file cannot be read as settings, or could not be with these; it is as it was then.
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
    for name, value in values.items():
        document[section][name] = tomlkit.value(toml_value(value))
    write_text(file, tomlkit.dumps(document))
    try:
        load_settings(file)
    except PrepError:
        write_text(file, text)
        raise
