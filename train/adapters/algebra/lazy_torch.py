"""torch, loaded when something of it is first used.

Plans and option checks ask the algorithms what they take and how much they train. So the algorithms' files must be
importable in a moment, though they hold the formulas too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
else:

    class _Torch:
        def __getattr__(self, name: str) -> Any:
            import torch

            value = getattr(torch, name)
            setattr(self, name, value)  # found without this method from now on
            return value

    torch = _Torch()

__all__ = ["torch"]
