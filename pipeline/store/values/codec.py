"""Values of decisions and data of reasons as the JSON that the database holds, and back."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pipeline.store.reasons.reason import NOTHING, Data
from pipeline.store.values.bucket import Bucket
from pipeline.store.values.contradiction import contradictions_from_json
from pipeline.store.values.regularization import RegularizationAssignment
from pipeline.store.values.repeats import Repeats
from pipeline.store.values.tags import tags_from_json

_READ: Mapping[str, Callable[[Any], Any]] = {
    "bucket": Bucket.from_json,
    "repeats": Repeats.from_json,
    "regularization": RegularizationAssignment.from_json,
    "tags": tags_from_json,
    "contradictions": contradictions_from_json,
}
"""Field → how its JSON is read; other fields hold plain values."""
_SHARED = frozenset({"bucket", "repeats"})
"""Fields whose values are immutable, and the same for many images."""
MANY = 1024
"""Values of one field that are held while it is read."""


def _as_json(value: Any) -> Any:
    return value.to_json()


dump: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=False, default=_as_json).encode
"""A value as JSON text."""


def load(field: str, text: str) -> Any:
    """The value of a field's JSON text."""
    value = json.loads(text)
    read = _READ.get(field)
    return value if read is None else read(value)


def load_many(field: str, texts: Iterable[str]) -> Iterator[Any]:
    """`load` of many texts of one field, parsed together, which is quicker; an immutable value that comes again and again
    is made once."""
    read, left = _READ.get(field), iter(texts)
    if field in _SHARED:
        shared = functools.lru_cache(MANY)(functools.partial(load, field))
        yield from map(shared, left)
        return
    while some := list(itertools.islice(left, MANY)):
        values = json.loads(f"[{','.join(some)}]")
        assert len(values) == len(some), field
        yield from values if read is None else map(read, values)


def as_json(value: Any) -> Any:
    """A value as what JSON knows."""
    return json.loads(dump(value))


_dump_sorted = json.JSONEncoder(ensure_ascii=False, default=_as_json, sort_keys=True).encode


def dump_data(data: Data) -> str:
    """A reason's data as JSON text, "" for none; whatever the order of its keys, equal data give equal text."""
    return _dump_sorted(data) if data else ""


def load_data(text: str | None) -> Data:
    """The data of such a text."""
    return json.loads(text) if text else NOTHING
