"""A dataclass that holds other dataclasses as one flat mapping."""

from __future__ import annotations

import dataclasses
from typing import Any


def flat(record: Any) -> dict[str, Any]:
    """Every plain field of a dataclass and of the dataclasses in its fields by name, in their order, but for those that
    are not compared."""
    found: dict[str, Any] = {}
    for item in dataclasses.fields(record):
        if not item.compare:
            continue
        value = getattr(record, item.name)
        found |= flat(value) if dataclasses.is_dataclass(value) else {item.name: value}
    return found
