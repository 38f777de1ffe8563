"""A caption that a person wrote, edited: what is not edited stays byte for byte."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pipeline.core.caption_text import COMMAS, KEEP_SEPARATOR, read_caption_text
from pipeline.tags.captions.manual_edits import ADD, REPLACE, Edit
from pipeline.tags.editor.spelling import alike

_BREAK = re.compile(r"(\|\|\||[,，、]|\r?\n)")
_COMMA = re.compile(r"[,，、][ \t]*")
_COMMAS = tuple(COMMAS)
_ONE_COMMA = [[comma] for comma in COMMAS]
_BEFORE = re.compile(r"[\ufeff\s]*")


def edited(text: str, edits: Iterable[Edit]) -> str:
    """Carry out edits on the raw text of a caption file; a tag is what stands between two commas or line ends. In a file of
    several captions, a line each, they are carried out on every one."""
    captions, rest = _captions(text)
    edits = list(edits)
    several = len(captions) > 1
    return "".join(_edited(each, edits) if each.strip() or not several else each for each in captions) + rest


def _captions(text: str) -> tuple[list[str], str]:
    """The captions of a file with their line ends, and a pasted generation text's other lines, which are none."""
    read = read_caption_text(text)
    if "generation text" not in read.taken_out:
        return (text.splitlines(keepends=True) if "\n" in read.text else [text]), ""
    place = re.search(r"^\s*(?:Negative prompt:|Steps: \d+, )", text, re.MULTILINE)
    end = place.start() if place else len(text)
    return _captions(text[:end])[0], text[end:]


def _edited(text: str, edits: Iterable[Edit]) -> str:
    for what, tag, *others in edits:
        if what == ADD:
            text = _with(text, tag)
        elif what == REPLACE:
            text = _instead(text, tag, others[0])
        else:
            text = _without(text, tag)
    return text


def _is(part: str, tag: str) -> bool:
    return alike(read_caption_text(part).text) == alike(tag)


def _has(text: str, tag: str) -> bool:
    return any(_is(part, tag) for part in _BREAK.split(text)[::2])


def _with(text: str, tag: str) -> str:
    """The text with a tag at its end, behind the separator that it uses itself."""
    if _has(text, tag):
        return text
    body = text.rstrip()
    end = text[len(body) :]
    if not body.removeprefix("\ufeff"):
        return body + tag + end
    comma = _COMMA.search(body)
    lines = re.search(r"\r?\n", body)
    separator = comma[0] if comma else lines[0] if lines else ", "
    return body + (separator[1:] or " " if body.endswith(_COMMAS) else separator) + tag + end


def _without(text: str, tag: str) -> str:
    """The text without a tag, wherever it stands, and without the comma that set it apart."""
    parts = _BREAK.split(text)
    place = 0
    while place < len(parts):
        if not _is(parts[place], tag):
            place += 2
        elif len(parts) == 1 or (place == 0 and not "".join(parts[1:]).strip(", ，、\t\r\n")):
            parts[place] = _before(parts[place])
            place += 2
        elif place == 0 or (parts[place - 1] not in _COMMAS and parts[place + 1 : place + 2] in _ONE_COMMA):
            parts[place + 2] = _before(parts[place]) + parts[place + 2].lstrip()
            del parts[place : place + 2]
        elif parts[place - 1] == KEEP_SEPARATOR:
            parts[place] = ""
            place += 2
        else:
            del parts[place - 1 : place + 1]
    return "".join(parts)


def _before(part: str) -> str:
    """What stands before a tag: spaces, and the mark that some editors begin a file with."""
    found = _BEFORE.match(part)
    return found[0] if found else ""


def _instead(text: str, tag: str, new: str) -> str:
    """The text with another tag in the place of one; where it has the other already, the one only goes."""
    parts = _BREAK.split(text)
    places = [place for place in range(0, len(parts), 2) if _is(parts[place], tag)]
    if not places:
        return text
    if alike(tag) != alike(new) and _has(text, new):
        return _without(text, tag)
    first = parts[places[0]]
    start, end = _before(first), first[len(first.rstrip()) :]
    parts[places[0]] = f"{start}{new}{end}"
    head, rest = "".join(parts[: places[0] + 1]), "".join(parts[places[0] + 1 :])
    return head + (_without(rest, tag) if len(places) > 1 else rest)
