"""Prompts that change while an image is made, as web UIs read them: `[red:blue:0.5]`, `[hat::10]`, `[cow|horse]`.

A1111's `prompt_parser.py` is the model: `[from:to:when]`, `[to:when]` and `[from::when]` exchange a text at a step or a share of
the steps, `[a|b]` alternates. A caption says what is to be seen in the end, so it is read as the text that stands last: `to`, or
`from` where nothing follows it, and of an alternation the first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise

DEEPEST = 64
"""Brackets inside brackets that are read; beyond it they are letters."""
_WHEN = re.compile(r"\s*\d*\.?\d+\s*")
_LETTER = re.compile(r"[^\W\d_]")


@dataclass(slots=True)
class _Open:
    """A bracket that is not closed yet: the texts behind it, and which of them are signs that part it."""

    sign: str
    texts: list[str] = field(default_factory=list)
    colons: list[int] = field(default_factory=list)
    bars: list[int] = field(default_factory=list)

    def raw(self) -> str:
        return self.sign + "".join(self.texts)

    def between(self, cuts: list[int]) -> list[str]:
        edges = [-1, *cuts, len(self.texts)]
        return ["".join(self.texts[one + 1 : other]) for one, other in pairwise(edges)]


def schedules(text: str) -> list[str]:
    """Every group that changes with the steps, as it is written; those inside another are part of it."""
    return _read(text)[1]


def without_schedules(text: str) -> str:
    """The text with every such group as it stands last."""
    return _read(text)[0] if "[" in text and "]" in text else text


def _read(text: str) -> tuple[str, list[str]]:
    stack, found, escaped = [_Open("")], list[str](), False
    for letter in text:
        top = stack[-1]
        if escaped or letter == "\\":
            escaped = not escaped
            top.texts.append(letter)
        elif letter in "([" and len(stack) <= DEEPEST:
            stack.append(_Open(letter))
        elif letter == ")" and top.sign == "(":
            stack.pop()
            stack[-1].texts.append(top.raw() + ")")
        elif letter == "]" and top.sign == "[":
            stack.pop()
            last = _last(top)
            found += [] if last is None else [top.raw() + "]"]
            stack[-1].texts.append(top.raw() + "]" if last is None else last)
        elif letter == "\n":
            _flush(stack)
            stack[0].texts.append(letter)
        else:
            if letter in ":|":
                (top.colons if letter == ":" else top.bars).append(len(top.texts))
            top.texts.append(letter)
    _flush(stack)
    return "".join(stack[0].texts), found


def _flush(stack: list[_Open]) -> None:
    """What was not closed is letters."""
    while len(stack) > 1:
        top = stack.pop()
        stack[-1].texts.append(top.raw())


def _last(group: _Open) -> str | None:
    """What a closed group comes to, None if nothing in it changes."""
    if group.bars:
        members = [each.strip() for each in group.between(group.bars)]
        chosen = next(filter(None, members), "")
        return chosen if _LETTER.search(chosen) else None
    *texts, when = group.between(group.colons)
    if len(texts) not in (1, 2) or not _WHEN.fullmatch(when):
        return None
    chosen = texts[-1].strip() or texts[0].strip()
    return chosen if _LETTER.search(chosen) else None
