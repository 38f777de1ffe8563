"""How strongly each block of an adapter counts, as web UIs write it (`lbw=`): a preset's name, a list of numbers, or pairs.

The lists of 17 and 26 are SD's, those of 12 and 20 SDXL's; a block that a list does not name counts 0, as in
sd-webui-lora-block-weight, from whose code the presets' numbers are (its README prints some of them otherwise).
"""

from __future__ import annotations

from pipeline.config.settings import suggest
from pipeline.core.errors import PrepError
from train.adapters.names.blocks import BASE, GROUPS, NAMES


def _span(section: str, *numbers: int) -> tuple[str, ...]:
    return tuple(f"{section}{number:02}" for number in numbers)


LISTS = {
    12: (BASE, *_span("IN", 4, 5, 7, 8), "M00", *_span("OUT", *range(6))),
    17: (BASE, *_span("IN", 1, 2, 4, 5, 7, 8), "M00", *_span("OUT", *range(3, 12))),
    20: (BASE, *_span("IN", *range(9)), "M00", *_span("OUT", *range(9))),
    26: (BASE, *_span("IN", *range(12)), "M00", *_span("OUT", *range(12))),
}
"""How many numbers a list has → the blocks they are of."""
PRESETS = {
    "NONE": "0" + ",0" * 16,
    "ALL": "1" + ",1" * 16,
    "INS": "1,1,1,1" + ",0" * 13,
    "IND": "1,0,0,0,1,1,1" + ",0" * 10,
    "INALL": "1,1,1,1,1,1,1" + ",0" * 10,
    "MIDD": "1,0,0,0" + ",1" * 8 + ",0" * 5,
    "OUTD": "1" + ",0" * 7 + ",1" * 4 + ",0" * 5,
    "OUTS": "1" + ",0" * 11 + ",1" * 5,
    "OUTALL": "1" + ",0" * 7 + ",1" * 9,
    "ALL0.5": ",".join(["0.5"] * 17),
}
EVERYWHERE = ("NONE", "ALL", "ALL0.5")
"""Presets that mean every block of any adapter, not only the 17 that the list names."""


EACH = tuple(name for name in NAMES if name not in GROUPS)
OUTSIDE = ""
"""Stands for layers that are in no block: a list gives them no number, so that they count 0."""


def block_weights(text: str) -> dict[str, float]:
    """Block or section → its weight; "" stands for layers that are in no block.

    Raises:
        PrepError: it is no preset, no list of 12, 17, 20 or 26 numbers, and no pairs.
    """
    text = text.strip()
    if text.upper() in PRESETS:
        numbers = PRESETS[text.upper()].split(",")
        everywhere = text.upper() in EVERYWHERE
        return dict.fromkeys((*EACH, OUTSIDE), float(numbers[0])) if everywhere else _listed(numbers, text)
    if "=" in text:
        return dict(_pair(part, text) for part in text.split(","))
    numbers = [part.strip() for part in text.split(",")]
    if len(numbers) == 1:
        raise PrepError(f"there are no block weights called {text!r}{suggest(text, PRESETS)}", _HINT)
    return _listed(numbers, text)


_HINT = "give a preset, 12, 17, 20 or 26 numbers, or pairs such as OUT04=0.5,IN=0"


def _listed(numbers: list[str], text: str) -> dict[str, float]:
    if len(numbers) not in LISTS:
        raise PrepError(f"{text} has {len(numbers)} block weights", _HINT)
    found = dict.fromkeys((*EACH, OUTSIDE), 0.0)
    for name, number in zip(LISTS[len(numbers)], numbers, strict=True):
        found[name] = _number(number, text)
    return found


def _pair(part: str, text: str) -> tuple[str, float]:
    name, _, number = part.partition("=")
    name = name.strip().upper()
    name = "M00" if name == "M" else name
    if name not in NAMES:
        raise PrepError(f"{text}: {name!r} is no block{suggest(name, NAMES)}", _HINT)
    return name, _number(number, text)


def _number(number: str, text: str) -> float:
    try:
        found = float(number)
    except ValueError:
        found = float("nan")
    if not -100 <= found <= 100:
        raise PrepError(f"{text}: {number.strip()!r} is no weight of a block", _HINT)
    return found
