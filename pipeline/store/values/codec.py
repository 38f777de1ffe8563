"""Values of decisions as the JSON that the database holds, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.store.values.bucket import Bucket
from pipeline.store.values.regularization import RegularizationAssignment
from pipeline.store.values.repeats import Repeats

_READ: Mapping[str, Callable[[Any], Any]] = {
    "bucket": Bucket.from_json,
    "repeats": Repeats.from_json,
    "regularization": RegularizationAssignment.from_json,
}
"""Field → how its JSON is read; other fields hold plain values."""


def as_json(value: Any) -> Any:
    """A value as what JSON knows."""
    return value.to_json() if hasattr(value, "to_json") else value


dump: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=False, default=as_json).encode
"""A value as JSON text."""


def load(field: str, text: str) -> Any:
    """The value of a field's JSON text."""
    value = json.loads(text)
    read = _READ.get(field)
    return value if read is None else read(value)
