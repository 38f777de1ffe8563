"""Options composed of parts: a field that is a dataclass itself holds options of the whole, in one flat list."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Mapping
from typing import Any


@functools.cache
def parts_of(options: type) -> dict[str, type]:
    """Field → class, of the fields that are options themselves."""
    hints = typing.get_type_hints(options)
    return {
        item.name: hints[item.name]
        for item in dataclasses.fields(options)
        if dataclasses.is_dataclass(hints[item.name])
    }


def names_of(options: type) -> set[str]:
    """Every option of a class and of its parts."""
    parts = parts_of(options)
    own = {item.name for item in dataclasses.fields(options)} - parts.keys()
    return own.union(*map(names_of, parts.values()))


def composed(options: type, values: Mapping[str, Any]) -> Any:
    """An instance of an Options class from one flat mapping of values, each of which goes to the part that declares it."""
    parts, rest = dict[str, Any](), dict(values)
    for name, part in parts_of(options).items():
        parts[name] = composed(part, {key: rest.pop(key) for key in names_of(part) & rest.keys()})
    return options(**parts, **rest)
