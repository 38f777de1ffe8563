"""What can go wrong with manifest.db at any moment, in the words of a person's problem."""

from __future__ import annotations

import sqlite3

from pipeline.core.errors import PrepError

CannotUse = sqlite3.OperationalError
"""The record is there and well, but cannot be read or written now: locked, the disk full, no right to."""


def of_the_machine(error: CannotUse) -> bool:
    """Whether the machine keeps the record from being used, and not what it holds."""
    return any(word in str(error) for word in ("locked", "full", "readonly", "I/O", "unable to open", "interrupted"))


def explained(error: CannotUse) -> PrepError:
    hint = (
        "another prep may be at work on this set; wait for it to end"
        if "locked" in str(error)
        else "see that the disk is not full and the set's folder can be written to"
    )
    return PrepError(f"the set's manifest.db: {error}", hint)
