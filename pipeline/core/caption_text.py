"""The one reading of a caption: what a person wrote, in whatever syntax it came, as the tags or sentences that are meant.

Captions are pasted from web UIs and boards: with weights, `(red hair:1.2)`, escapes, `mihari \\(series\\)`, calls of networks,
`<lora:x:1>`, `BREAK`, texts that change with the steps, `[red:blue:0.5]`, other commas, letters without width, and whole
generation texts. None of it is for a text encoder to read as letters. A caption is read here once, into the text that is
edited, counted, exported and trained; what was taken out is named. Every step goes over the text once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.core.prompt_schedules import without_schedules

KEEP_SEPARATOR = "|||"
"""What parts the tags that stay in front from those that move, in the files of kohya's trainers."""
COMMAS = ",，、"
"""What ends a tag: the comma, that of full width, and the ideographic one."""
LONGEST = 2**16
"""Letters of a caption that are read; the text encoders of no model read a hundredth of it."""
_INVISIBLE = dict.fromkeys(
    (0x00AD, 0x180E, 0x200B, 0x200C, 0x200E, 0x200F, 0x2060, 0x2061, 0x2062, 0x2063, 0x2064, 0xFEFF)
)
"""Letters without width; U+200D stays, as it joins emoji."""
_SPLIT = re.compile(rf"\|\|\||[{COMMAS}\n]")
_CALL = re.compile(r"<(?:lora|lyco|hypernet|embedding):[^<>\n]{1,400}>")
_BREAK = re.compile(r"(?<![^\W_])BREAK(?![^\W_])")
_NUMBER = re.compile(r"\s*:\s*[+-]?[0-9.]{1,12}\s*$")
_ESCAPED = re.compile(r"\\([()\[\]{}<>:\\])")
_HAS_WORD = re.compile(r"[^\W\d_]{2}")
_FIRST_FIELD = re.compile(r"\s*Steps: \d+, ")
_OPEN, _CLOSE = "([", ")]"


@dataclass(frozen=True, slots=True)
class Reading:
    """A caption as it is trained, and what of the syntax of prompts was taken out of it: weights, schedules, networks, breaks,
    escapes, generation text, invisible letters, too long."""

    text: str
    taken_out: tuple[str, ...] = ()


def read_caption_text(text: str) -> Reading:
    """Read a caption as a person or a program wrote it.

    Lines stay lines: each is a caption of its own, or, where none holds a comma, a tag.
    """
    found: list[str] = []

    def took(what: str, before: str, after: str) -> str:
        if before != after:
            found.append(what)
        return after

    plain = took("too long", text, text[:LONGEST]).replace("\r\n", "\n").replace("\r", "\n")
    plain = took("invisible letters", plain.removeprefix("\ufeff"), plain.removeprefix("\ufeff").translate(_INVISIBLE))
    plain = took("generation text", plain, _without_generation_text(plain))
    plain = took("networks", plain, _CALL.sub(",", plain) if "<" in plain else plain)
    plain = took("breaks", plain, _BREAK.sub(",", plain) if "BREAK" in plain else plain)
    plain = took("schedules", plain, without_schedules(plain))
    plain = took("weights", plain, without_weights(plain))
    plain = took("escapes", plain, unescaped(plain))
    changed = bool(found) or any(comma in plain for comma in COMMAS[1:])
    plain = "\n".join(filter(None, (_tidy(line) if changed else line.strip() for line in plain.split("\n"))))
    return Reading(_tags_in_one_line(plain), tuple(found))


def split_tags(text: str) -> tuple[str, ...]:
    """The tags of a caption, in its own spelling, whatever parts them; a text that was read already, or a raw one."""
    return tuple(part for part in (piece.strip() for piece in _SPLIT.split(text)) if part)


def pieces(text: str) -> Iterator[tuple[str, str]]:
    """(a part between separators with the space around it, the separator behind it), "" behind the last."""
    start = 0
    for match in _SPLIT.finditer(text):
        yield text[start : match.start()], match.group()
        start = match.end()
    yield text[start:], ""


def after_tags(text: str, count: int) -> str:
    """The text behind its first `count` tags."""
    parts = _SPLIT.split(text, maxsplit=count) if count else [text]
    return parts[count] if len(parts) > count else ""


def lines_of(text: str) -> list[str]:
    """The captions of a text that has one a line; one for any other."""
    return [line for line in (each.strip() for each in text.split("\n")) if line]


def _tags_in_one_line(text: str) -> str:
    """Several lines of one tag each, as hydrus writes them, as one line with commas; two lines of some words are captions."""
    lines = lines_of(text)
    if len(lines) < 2 or any(_SPLIT.search(line) or len(line.split()) > 4 or line[-1] in ".!?" for line in lines):
        return text
    few = len(lines) < 3 and any(" " in line for line in lines)
    return text if few else ", ".join(lines)


def _tidy(line: str) -> str:
    """A line in which something was taken out or replaced: commas of one kind, none beside another."""
    shown: list[str] = []
    for part, behind in pieces(line):
        tag = " ".join(part.split())
        if tag:
            shown.append(tag)
        if behind == KEEP_SEPARATOR:
            shown.append(KEEP_SEPARATOR)
    text = ", ".join(shown)
    return text.replace(f", {KEEP_SEPARATOR}, ", f" {KEEP_SEPARATOR} ").replace(
        f", {KEEP_SEPARATOR}", f" {KEEP_SEPARATOR}"
    )


def _without_generation_text(text: str) -> str:
    """The prompt of a pasted generation text: what stands before `Negative prompt:` and the line of `Steps: 20, …`."""
    lines = text.split("\n")
    for place, line in enumerate(lines):
        if line.lstrip().startswith("Negative prompt:") or _FIRST_FIELD.match(line):
            return "\n".join(lines[:place])
    return text


def without_weights(text: str) -> str:
    """The text without the signs of weights: `(red hair:1.2)`, `((smile))`, `[hat]`.

    A group with a number is a weight wherever it stands. One without is a weight only where it is a whole tag with a word in
    it, as names and kaomoji have parentheses too: `mihari (series)`, `(o)_(o)`. Signs behind a backslash are letters.
    """
    if not any(sign in text for sign in "(["):
        return text
    pairs, drop = _pairs(text), set[int]()
    for start, end in pairs:
        inner = text[start + 1 : end]
        number = _NUMBER.search(inner) if text[start] == "(" and ":" in inner[-20:] else None
        if number is not None:
            drop.update((start, end), range(start + 1 + number.start(), end))
        elif _is_whole_tag(text, start, end) and _HAS_WORD.search(inner[:200]):
            drop.update((start, end))
    return "".join(letter for place, letter in enumerate(text) if place not in drop) if drop else text


def _pairs(text: str) -> list[tuple[int, int]]:
    """Places of brackets that belong together, an inner pair before the one around it."""
    found, opened = [], list[int]()
    escaped = False
    for place, letter in enumerate(text):
        if escaped or letter == "\\":
            escaped = not escaped and letter == "\\"
        elif letter in _OPEN:
            opened.append(place)
        elif letter in _CLOSE:
            if opened and _OPEN.index(text[opened[-1]]) == _CLOSE.index(letter):
                found.append((opened.pop(), place))
        elif letter == "\n":
            opened.clear()
    return found


def _is_whole_tag(text: str, start: int, end: int) -> bool:
    """Whether a pair of brackets begins and ends with a tag, other brackets around it apart."""
    before = text[max(0, start - 40) : start].rstrip(" " + _OPEN)
    after = text[end + 1 : end + 41].lstrip(" " + _CLOSE)
    begins = not before or before[-1] in COMMAS + "\n|"
    ends = not after or after[0] in COMMAS + "\n|" or _NUMBER.fullmatch(after.split(")")[0] or "x") is not None
    return begins and ends


def unescaped(text: str) -> str:
    """`mihari \\(series\\)` → `mihari (series)`."""
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def escaped(text: str) -> str:
    """`mihari (series)` → `mihari \\(series\\)`: a tag as a prompt has it, so that its parentheses are no weight."""
    return re.sub(r"([()\[\]\\])", r"\\\1", text)
