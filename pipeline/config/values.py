"""Values of prep.toml: taken as the type that is declared, described in words, and written."""

from __future__ import annotations

import math
import os
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pipeline.core.files import expanded

LARGEST_INT = 2**63 - 1
"""What SQLite, numpy and the files of others hold."""


def convert(value: Any, kind: Any, base: Path | None = None) -> Any:
    """Take a TOML value as `kind`; a relative path is meant from `base`.

    Raises:
        ValueError: the value is of another type; the text says what is expected.
    """
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal and value in inner and not isinstance(value, bool):
        return value
    if origin is tuple and isinstance(value, list | tuple):
        kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else list(inner)
        if len(kinds) == len(value):
            return tuple(convert(each, one, base) for each, one in zip(value, kinds, strict=True))
    if origin is Mapping and isinstance(value, Mapping):
        return {key: convert(each, inner[1], base) for key, each in value.items()}
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    if kind is int and type(value) is int and abs(value) > LARGEST_INT:
        raise ValueError(f"expected {describe(kind)} of at most {LARGEST_INT:,}")
    if kind in (bool, int, str) and type(value) is kind:
        return value
    if kind is Path and isinstance(value, str | Path):
        path = expanded(value)
        return absolute(base / path) if base else path
    raise ValueError(f"expected {describe(kind)}")


def absolute(path: Path) -> Path:
    """The path from the root, without `..`, links left as they are."""
    return Path(os.path.normpath(path.absolute()))


def absolute_source(source: str, base: Path) -> str:
    """A source as it is remembered: a repository's address as it is, a path from the root."""
    return source if "://" in source else str(absolute(base / expanded(source)))


def describe(kind: Any) -> str:
    """A type in words for people."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return "one of " + ", ".join(repr(each) for each in inner)
    if origin is tuple and inner[-1] is not Ellipsis:
        return f"a list of {len(inner)}: " + ", ".join(describe(each) for each in inner)
    if origin is tuple:
        return f"a list, each {describe(inner[0])}"
    if origin is Mapping:
        return f"a table, each value {describe(inner[1])}"
    return {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "a text in quotes",
        Path: "a path in quotes",
    }[kind]


def toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{toml_value(key)} = {toml_value(each)}" for key, each in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(toml_value(each) for each in value) + "]"
    if isinstance(value, str | Path):
        return '"' + "".join(_character(letter) for letter in str(value)) + '"'
    return str(value)


def _character(letter: str) -> str:
    if letter in '"\\':
        return "\\" + letter
    return letter if ord(letter) >= 32 and ord(letter) != 127 else f"\\u{ord(letter):04x}"
