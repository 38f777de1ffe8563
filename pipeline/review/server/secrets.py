"""The secrets of one run of the desk, kept in memory alone: when it ends, nothing of it opens anything."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field

BYTES = 32


def _word() -> str:
    return secrets.token_urlsafe(BYTES)


@dataclass(frozen=True, slots=True)
class Secrets:
    """`token` stands in the address that is printed, `prefix` in all others; `session` is the cookie's value, and `writing`
    must come with whatever changes something. A cookie alone opens nothing: other ports of this machine get it too."""

    token: str = field(default_factory=_word)
    prefix: str = field(default_factory=_word)
    session: str = field(default_factory=_word)
    writing: str = field(default_factory=_word)


def same(one: str, other: str) -> bool:
    """Whether two secrets are equal, in a time that does not tell how much of them is."""
    return hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other.encode("utf-8", "surrogateescape"))
