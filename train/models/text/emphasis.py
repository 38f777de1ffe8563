"""Weights in prompts as A1111's web UI and Forge read them: `(red hair:1.4)`, `((smile))`, `[hat]`, BREAK. No torch here.

The rules are those of their `prompt_parser.py` (parse_prompt_attention): a pair of parentheses is 1.1 times, one with a number
that many times, brackets 1/1.1; nested factors multiply; a backslash makes a sign a letter; what is not closed counts as
closed at the end, a sign that closes nothing is a letter.
"""

from __future__ import annotations

import re
from typing import NamedTuple

ROUND, SQUARE = 1.1, 1 / 1.1
_BREAK = re.compile(r"\s*\bBREAK\b\s*")
_WEIGHT = re.compile(r":\s*([+-]?[.\d]+)\s*\)")


class Part(NamedTuple):
    """A text of one weight; `new_chunk` where BREAK stands before it."""

    text: str
    weight: float = 1.0
    new_chunk: bool = False


def weighted_parts(prompt: str) -> list[Part]:
    """The texts of a prompt with their weights, neighbours of equal weight joined; one empty part for an empty prompt."""
    letters, weights = _letters(prompt)
    found: list[Part] = []
    for number, (start, end) in enumerate(_between_breaks(letters)):
        new, begin = number > 0, start
        for place in range(start, end + 1):
            if place == end or weights[place] != weights[begin]:
                if place > begin or (new and place == end):
                    found.append(Part(letters[begin:place], weights[begin] if place > begin else 1.0, new))
                    new = False
                begin = place
    return found or [Part("")]


def _between_breaks(text: str) -> list[tuple[int, int]]:
    spans, start = [], 0
    for match in _BREAK.finditer(text):
        spans.append((start, match.start()))
        start = match.end()
    return [*spans, (start, len(text))]


def _letters(prompt: str) -> tuple[str, list[float]]:
    """The letters that are read and the weight of each."""
    shown: list[str] = []
    weights: list[float] = []
    opened: list[tuple[str, int]] = []

    def close(sign: str, factor: float) -> bool:
        if not opened or opened[-1][0] != sign:
            return False
        _, start = opened.pop()
        weights[start:] = [weight * factor for weight in weights[start:]]
        return True

    def put(text: str) -> None:
        shown.extend(text)
        weights.extend([1.0] * len(text))

    place = 0
    while place < len(prompt):
        letter = prompt[place]
        number = _WEIGHT.match(prompt, place) if letter == ":" and opened and opened[-1][0] == "(" else None
        if letter == "\\" and place + 1 < len(prompt) and prompt[place + 1] in "()[]\\":
            put(prompt[place + 1])
            place += 1
        elif letter in "([":
            opened.append((letter, len(shown)))
        elif number is not None and (factor := _number(number[1])) is not None:
            close("(", factor)
            place = number.end() - 1
        elif (letter == ")" and close("(", ROUND)) or (letter == "]" and close("[", SQUARE)):
            pass
        elif letter != "\\":
            put(letter)
        place += 1
    while opened:
        close(opened[-1][0], ROUND if opened[-1][0] == "(" else SQUARE)
    return "".join(shown), weights


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
