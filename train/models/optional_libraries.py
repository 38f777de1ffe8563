"""Libraries that diffusers and others load where they are installed, although nothing here asked for them."""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec

UNASKED = ("bitsandbytes",)
"""Loaded by `import diffusers`, which then fails with whatever such a library fails with."""


@cache
def import_failure(library: str) -> str | None:
    """Why a library that is installed cannot be imported; None where it can, or is not installed.

    One that cannot (bitsandbytes raises RuntimeError or OSError without the right driver) counts as not installed from
    then on, so that no other library trips over it.
    """
    if sys.modules.get(library) is None and (library in sys.modules or find_spec(library) is None):
        return None
    try:
        import_module(library)
    except Exception as error:  # what a foreign library may raise at its import is not known
        sys.modules[library] = None  # type: ignore[assignment]
        return f"{type(error).__name__}: {error}"
    return None


def set_unusable_aside() -> None:
    """See which of the libraries that others load unasked cannot be imported, so that these do without them."""
    for name in UNASKED:
        import_failure(name)
