"""A question answered: which images, in which order, and what is to be said of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import PrepError
from pipeline.review.query.known_values import known_values
from pipeline.review.query.reading import read
from pipeline.review.query.terms import And, Asked, Held, Not, Or, ScoreOf, Term, figure, mask, words
from pipeline.review.snapshot.scores import Scores
from pipeline.review.snapshot.snapshot import Snapshot
from pipeline.store.wording import counted
from pipeline.tags.editor.spelling import alike

ORDERS = (
    ("path", "by path"),
    ("group", "copies together"),
    ("-loss", "most cut off first"),
    ("sharpness", "blurriest first"),
    ("-repeats", "most repeats first"),
    ("-tags", "most tags first"),
    ("tags", "fewest tags first"),
    ("side", "smallest first"),
    ("-area", "largest first"),
)
"""What can be chosen, with its words; doubt:TAG and score:TAG can be typed besides."""
SHOWN_TAGS = 200


@dataclass(frozen=True, slots=True)
class Found:
    """`rows` are places in the snapshot in the order that was asked for; `words` says what was asked."""

    rows: NDArray[np.int64]
    words: str


def search(snapshot: Snapshot, scores: Callable[[], Scores], text: str, order: str = "path") -> Found:
    """The images that a question means.

    Raises:
        PrepError: it is no question, or it asks for a value that nothing of this set has.
    """
    term = read(text)
    asked = Asked(snapshot, scores)
    _refuse_unknown(term, asked)
    rows = np.flatnonzero(mask(term, asked))
    return Found(_ordered(rows, asked, order or "path"), words(term))


def _ordered(rows: NDArray[np.int64], asked: Asked, order: str) -> NDArray[np.int64]:
    down, name = order.startswith("-"), order.removeprefix("-")
    key, _, tag = name.partition(":")
    if key in ("doubt", "score") and tag:
        _refuse_unknown(ScoreOf(tag), asked)
        values = asked.scores().of(tag, asked.snapshot.images)[rows]
        if key == "doubt":
            values = asked.scores().doubt(tag, asked.snapshot.images)[rows]
    elif name == "path":
        return rows[::-1] if down else rows
    elif name == "group":
        values = np.where(asked.snapshot.groups < 0, np.nan, asked.snapshot.groups)[rows]
    elif name in {each.removeprefix("-") for each, _ in ORDERS}:
        values = figure(asked.snapshot, name)[rows]
    else:
        raise PrepError(f"images have no order by {name!r}", "order by doubt:TAG, score:TAG or what the list offers")
    values = np.where(np.isnan(values), np.inf, -values if down else values)
    return rows[np.argsort(values, kind="stable")]


def _refuse_unknown(term: Term, asked: Asked) -> None:
    """A value that no image of the set can have is a slip of the pen, not a question with no answer."""
    match term:
        case Not(inner):
            _refuse_unknown(inner, asked)
        case And(terms) | Or(terms):
            for each in terms:
                _refuse_unknown(each, asked)
        case ScoreOf(tag):
            if alike(tag) not in asked.scores().by_tag:
                raise _unknown("no tagger scored", tag, list(asked.scores().names.values()))
        case Held(key, value):
            known = known_values(key, asked.snapshot)
            if known is not None and not _is_known(key, value, known):
                raise _unknown(f"no image has the {key}", value, known)


def _is_known(key: str, value: str, known: list[str]) -> bool:
    if key == "tag":
        return alike(value) in {alike(each) for each in known}
    return value.replace("~", "/").strip("/") in known if key == "concept" else value in known


def _unknown(what: str, value: str, known: list[str]) -> PrepError:
    near = (
        get_close_matches(value, known, 3, 0.5) or [each for each in known if value.casefold() in each.casefold()][:3]
    )
    hint = f"near it are: {', '.join(near)}" if near else f"there are: {', '.join(known[:8])}" if known else ""
    return PrepError(f"{what} {value!r}", hint)


# --- counts


def facets(snapshot: Snapshot, rows: NDArray[np.int64]) -> dict[str, list[dict[str, Any]]]:
    """Counts inside what is shown, the commonest first; what nothing is of is left out."""
    inside = np.zeros(len(snapshot), np.bool_)
    inside[rows] = True
    listed = rows.tolist()
    kept = int(np.count_nonzero(snapshot.kept[rows]))
    verdicts = {"kept": kept, "dropped": len(listed) - kept, "edited": int(np.count_nonzero(snapshot.edited[rows]))}
    flags = Counter(flag for row in listed for flag in snapshot.flags[row])
    flags["contradiction"] = int(np.count_nonzero(snapshot.contradicting[rows]))
    reasons = Counter(str(verdict.reason.value) for row in listed if (verdict := snapshot.verdicts[row]) is not None)
    tags = Counter(
        {snapshot.tags.names[key]: int(np.count_nonzero(inside[where])) for key, where in snapshot.tags.places.items()}
    )
    return {
        "verdicts": _lines(verdicts, {"edited": "decided by you"}),
        "concepts": _lines(Counter(snapshot.concepts[row] for row in listed)),
        "flags": _lines(flags),
        "lacks": _lines({field: int(np.count_nonzero(column[rows])) for field, column in snapshot.lacks.items()}),
        "reasons": _lines(reasons, {code: counted(code) for code in reasons}),
        "tags": _lines(tags)[:SHOWN_TAGS],
    }


def _lines(counts: dict[str, int] | Counter[str], said: dict[str, str] | None = None) -> list[dict[str, Any]]:
    rows = sorted(((value, count) for value, count in counts.items() if count), key=lambda item: (-item[1], item[0]))
    return [{"value": value, "count": count, "words": (said or {}).get(value, value)} for value, count in rows]
