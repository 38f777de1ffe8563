"""What a reason is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

Data = Mapping[str, Any]
"""What a reason is about, as JSON knows it; which keys there are, its words below the enum say."""
NOTHING: Data = {}


class Reason(StrEnum):
    """A code, stored as it is. Codes that are counted together have it alone."""


class Recorded(Reason):
    """A decision of an older prep whose sentence no code stands for: `reason` and `evidence` are kept in the data."""

    AS_RECORDED = "as_recorded"


class Cause(NamedTuple):
    """A reason with what it is about."""

    reason: Reason
    data: Data = NOTHING


class Reasoned(Protocol):
    """What has a reason: a decision, one of a tag, or a cause alone."""

    @property
    def reason(self) -> Reason: ...

    @property
    def data(self) -> Data: ...


class Words(NamedTuple):
    """How a reason is worded: `phrase` is the reason in a few words, `figures` what stands behind it. Both are texts that
    `str.format` fills with the data, or functions of the data; `counted` is the phrase without any data."""

    phrase: str | Callable[[Data], str]
    figures: str | Callable[[Data], str] = ""
    counted: str = ""


Table = Mapping[Reason, Words]
RECORDED: Table = {
    Recorded.AS_RECORDED: Words("{reason}", "{evidence}", "as an older prep decided"),
}


def size(data: Data) -> str:
    """`48×80`"""
    width, height = data["size"]
    return f"{width}×{height}"
