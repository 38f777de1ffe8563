"""What a page of the desk is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.routing import BaseRoute

from pipeline.review.desk import Desk


def _nothing(desk: Desk) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Page:
    """A page at /NAME with the template NAME.html; `routes` answer what its script asks, `given` fills its template."""

    name: str
    words: str
    routes: Sequence[BaseRoute] = field(default_factory=tuple)
    given: Callable[[Desk], Mapping[str, Any]] = _nothing
