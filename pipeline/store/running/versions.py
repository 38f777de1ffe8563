"""The versions of programs, as they are recorded with a run."""

from __future__ import annotations

import importlib.metadata
import platform


def versions(distributions: tuple[str, ...]) -> dict[str, str]:
    """The versions of prep, Python and the distributions named that are installed."""
    found = {"python": platform.python_version()}
    for name in ("lora-prep", *distributions):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
