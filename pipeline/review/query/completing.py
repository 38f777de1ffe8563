"""What could be meant by what is typed: the set's own tags first, then what taggers know, then what the board calls otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.core.errors import PrepError
from pipeline.review.query.known_values import known_values
from pipeline.review.query.reading import KEYS
from pipeline.review.query.searching import search
from pipeline.review.query.terms import FIGURES, quoted
from pipeline.review.snapshot.scores import Scores
from pipeline.review.snapshot.snapshot import Snapshot
from pipeline.tags.danbooru import tables
from pipeline.tags.editor.spelling import alike
from pipeline.tags.vocabulary.aliases import other_name

MOST = 12

Choice = dict[str, Any]


def complete_tag(snapshot: Snapshot, scores: Scores, typed: str) -> list[Choice]:
    """Tags that a text may be the beginning of, or a part; the last of several with commas between."""
    before, comma, last = typed.rpartition(",")
    lead = f"{before}{comma} " if comma else ""
    word = alike(last.strip())
    if not word:
        return []
    found: dict[str, Choice] = {}
    for choice in (*_renamed(word), *_own(snapshot, word), *_known(scores, word)):
        found.setdefault(alike(choice["value"]), choice)
        if len(found) >= MOST:
            break
    return [{**choice, "value": lead + choice["value"]} for choice in found.values()]


def _renamed(word: str) -> Iterator[Choice]:
    """What the board calls what was typed: `typed → becomes`."""
    new = other_name(word)
    if new and new != word:
        yield {"value": new, "words": f"{word} → {new}"}


def _own(snapshot: Snapshot, word: str) -> Iterator[Choice]:
    ranked = sorted(
        (not name.startswith(word), f" {word}" not in f" {name}", -len(rows), name)
        for name, rows in snapshot.tags.places.items()
        if word in name
    )
    for _, _, count, name in ranked:
        yield {"value": snapshot.tags.names[name], "words": snapshot.tags.names[name], "count": -count}


def _known(scores: Scores, word: str) -> Iterator[Choice]:
    """What the taggers and the board know: beginnings before parts, shorter before longer."""
    known = {**dict.fromkeys(tables.tags()), **dict.fromkeys(scores.names.values())}
    for name in sorted(
        (name for name in known if word in alike(name)),
        key=lambda name: (not alike(name).startswith(word), len(name), name),
    ):
        yield {"value": name, "words": name}


def complete_query(snapshot: Snapshot, scores: Scores, typed: str) -> list[Choice]:
    """How the last term of a question may go on; each choice is the whole question with it. What is typed comes last where
    it is a question already."""
    found = _goes_on(snapshot, scores, typed)
    if not found or any(choice["value"] == typed for choice in found):
        return found
    try:
        search(snapshot, lambda: scores, typed)
    except PrepError:
        return found
    return [*found[: MOST - 1], {"value": typed, "words": typed}]


def _goes_on(snapshot: Snapshot, scores: Scores, typed: str) -> list[Choice]:
    before, last = _last_term(typed)
    minus = "-" if last.startswith("-") else ""
    last = last.removeprefix("-")
    key, colon, value = last.partition(":")
    if not last:
        return []
    if not colon:
        keys = [
            {"value": f"{before}{minus}{each}:", "words": f"{each}:"} for each in KEYS if each.startswith(last.lower())
        ]
        keys += [
            {"value": f"{before}{minus}{each}>=", "words": f"{each}>="}
            for each in FIGURES
            if each.startswith(last.lower())
        ]
        tags = [_term(before, minus, "tag", choice) for choice in complete_tag(snapshot, scores, last.strip('"'))]
        return [*keys, *tags][:MOST]
    if key == "tag" or key == "score":
        return [
            _term(before, minus, key, choice)
            for choice in complete_tag(snapshot, scores, value.strip('"').rpartition(",")[2])
        ][:MOST]
    values = known_values(key, snapshot) or []
    word = value.strip('"').casefold()
    return [_term(before, minus, key, {"value": each, "words": each}) for each in values if word in each.casefold()][
        :MOST
    ]


def _term(before: str, minus: str, key: str, choice: Choice) -> Choice:
    return {**choice, "value": f"{before}{minus}{key}:{quoted(choice['value'])}"}


def _last_term(typed: str) -> tuple[str, str]:
    """What stands before the last term, and that term, which may have an open quote."""
    inside, start = False, 0
    for place, letter in enumerate(typed):
        if letter == '"':
            inside = not inside
        elif letter in " (," and not inside:
            start = place + 1
    return _without_commas(typed[:start]), typed[start:]


def _without_commas(typed: str) -> str:
    """Terms have spaces between them; a comma outside of quotes is what one types between tags."""
    parts = typed.split('"')
    return '"'.join(
        part if place % 2 else part.replace(", ", " ").replace(",", " ") for place, part in enumerate(parts)
    )
