"""Choices made block by block: IN00 to IN11, M00, OUT00 to OUT11 of the UNet, BASE for the text encoders."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

from pipeline.config.settings import suggest
from pipeline.core.errors import PrepError

Value = TypeVar("Value")
BASE = "BASE"
GROUPS = {"IN": "IN", "MID": "M", "OUT": "OUT"}
"""Name for all blocks of a section → how their names begin."""
NAMES = (
    BASE,
    *GROUPS,
    *(f"IN{number:02}" for number in range(12)),
    "M00",
    *(f"OUT{number:02}" for number in range(12)),
)


def by_block(chosen: Mapping[str, Value], present: Collection[str], option: str) -> dict[str, Value]:
    """Each block's value, where one was chosen; a block's own name counts before its section's.

    Args:
        present: the blocks that hold layers of this adapter.
    Raises:
        PrepError: a name stands for none of them.
    """
    held = {name: [block for block in present if name in (block, section_of(block))] for name in chosen}
    missing = [name for name, blocks in held.items() if not blocks]
    if missing:
        raise PrepError(
            f"{option} names {', '.join(missing)}, where this adapter has no layer{suggest(missing[0], present)}",
            f"it has some in {', '.join(sorted(present, key=order))}",
        )
    ordered = sorted(chosen, key=lambda name: name not in GROUPS)
    return {block: chosen[name] for name in ordered for block in held[name]}


def section_of(block: str) -> str:
    """IN, MID or OUT, "" for what is in none of them."""
    letters = block.rstrip("0123456789")
    return next((section for section, start in GROUPS.items() if start == letters), "")


def order(block: str) -> int:
    """The place in the row of blocks, from the text encoders to the last one."""
    return NAMES.index(block) if block in NAMES else len(NAMES)
