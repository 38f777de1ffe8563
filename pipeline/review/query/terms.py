"""What can be asked: each term knows how it is written, what it means in words, and which images it holds for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.core.filenames import fits_pattern
from pipeline.review.snapshot.scores import Scores
from pipeline.review.snapshot.snapshot import Snapshot
from pipeline.tags.editor.spelling import alike

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

COMPARED: dict[str, Callable[[NDArray[np.float64], float], Mask]] = {
    ">=": np.greater_equal,
    "<=": np.less_equal,
    ">": np.greater,
    "<": np.less,
    "=": np.equal,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What terms are judged by."""

    snapshot: Snapshot
    scores: Callable[[], Scores]


@dataclass(frozen=True, slots=True)
class Everything:
    """All images."""

    def __str__(self) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Not:
    term: Term

    def __str__(self) -> str:
        return f"-({self.term})" if isinstance(self.term, And | Or | Not) else f"-{self.term}"


@dataclass(frozen=True, slots=True)
class And:
    terms: tuple[Term, ...]

    def __str__(self) -> str:
        return " ".join(f"({each})" if isinstance(each, And | Or) else str(each) for each in self.terms)


@dataclass(frozen=True, slots=True)
class Or:
    terms: tuple[Term, ...]

    def __str__(self) -> str:
        return " OR ".join(f"({each})" if isinstance(each, And | Or) else str(each) for each in self.terms)


@dataclass(frozen=True, slots=True)
class Held:
    """KEY:VALUE, or a word alone, whose key is "" ."""

    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.key}:{quoted(self.value)}" if self.key else quoted(self.value)


@dataclass(frozen=True, slots=True)
class Figure:
    """NAME>=NUMBER, of a measurement or a count."""

    name: str
    sign: str
    number: float

    def __str__(self) -> str:
        return f"{self.name}{self.sign}{self.number!r}"


@dataclass(frozen=True, slots=True)
class ScoreOf:
    """score:TAG>=0.3, or score:TAG for any score at all."""

    tag: str
    sign: str = ">="
    number: float = 0.0

    def __str__(self) -> str:
        return f"score:{quoted(self.tag)}{self.sign}{self.number!r}"


Term = Everything | Not | And | Or | Held | Figure | ScoreOf


def quoted(value: str) -> str:
    """A value as it is typed: in quotes where it holds more than letters, digits and _ . / ~ ."""
    plain = (
        value and all(letter.isalnum() or letter in "_./~" for letter in value) and value not in ("AND", "OR", "NOT")
    )
    return value if plain else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def mask(term: Term, asked: Asked) -> Mask:
    """(n,): the images that a term holds for."""
    count = len(asked.snapshot)
    match term:
        case Everything():
            return np.ones(count, np.bool_)
        case Not(inner):
            return ~mask(inner, asked)
        case And(terms):
            return functools.reduce(np.logical_and, (mask(each, asked) for each in terms))
        case Or(terms):
            return functools.reduce(np.logical_or, (mask(each, asked) for each in terms))
        case Figure(name, sign, number):
            with np.errstate(invalid="ignore"):
                return COMPARED[sign](figure(asked.snapshot, name), number)
        case ScoreOf(tag, sign, number):
            with np.errstate(invalid="ignore"):
                return COMPARED[sign](asked.scores().of(tag, asked.snapshot.images), number)
        case Held(key, value):
            return HELD[key](asked.snapshot, value)


def figure(snapshot: Snapshot, name: str) -> NDArray[np.float64]:
    """A figure of every image, by the name that questions know."""
    if name == "tags":
        return snapshot.tags.counts.astype(np.float64)
    return snapshot.figures[name]


FIGURES = ("width", "height", "side", "area", "ratio", "sharpness", "contrast", "repeats", "loss", "tags")


# --- terms with a value


def _rows(snapshot: Snapshot, hold: Callable[[int], bool]) -> Mask:
    return np.fromiter((hold(row) for row in range(len(snapshot))), np.bool_, len(snapshot))


def _tag(snapshot: Snapshot, value: str) -> Mask:
    found = np.zeros(len(snapshot), np.bool_)
    rows = snapshot.tags.places.get(alike(value))
    if rows is not None:
        found[rows] = True
    return found


def _concept(snapshot: Snapshot, value: str) -> Mask:
    """The concept and those below it."""
    wanted = value.replace("~", "/").strip("/")
    fits = {concept: f"{concept}/".startswith(f"{wanted}/") for concept in set(snapshot.concepts)}
    return _rows(snapshot, lambda row: fits[snapshot.concepts[row]])


def _text(snapshot: Snapshot, value: str) -> Mask:
    """A tag of that name, or a part of path or caption."""
    word = value.casefold()
    held = _tag(snapshot, value)
    return held | _rows(
        snapshot,
        lambda row: word in snapshot.images[row].path.casefold() or word in snapshot.captions[row].casefold(),
    )


def _path(snapshot: Snapshot, value: str) -> Mask:
    if "*" in value or "?" in value:
        return _rows(snapshot, lambda row: fits_pattern(snapshot.images[row].path, value))
    word = value.casefold()
    return _rows(snapshot, lambda row: word in snapshot.images[row].path.casefold())


def _name(snapshot: Snapshot, value: str) -> Mask:
    word = value.casefold()
    if "*" in value or "?" in value:
        return _rows(snapshot, lambda row: fits_pattern(snapshot.images[row].path.rpartition("/")[2], value))
    return _rows(snapshot, lambda row: word in snapshot.images[row].path.rpartition("/")[2].casefold())


def _caption(snapshot: Snapshot, value: str) -> Mask:
    word = value.casefold()
    return _rows(snapshot, lambda row: word in snapshot.captions[row].casefold())


def _flag(snapshot: Snapshot, value: str) -> Mask:
    if value == "any":
        return _rows(snapshot, lambda row: bool(snapshot.flags[row])) | snapshot.contradicting
    if value == "contradiction":
        return snapshot.contradicting.copy()
    return _rows(snapshot, lambda row: value in snapshot.flags[row])


def _verdict(snapshot: Snapshot, value: str) -> Mask:
    return {"kept": snapshot.kept, "dropped": ~snapshot.kept, "edited": snapshot.edited}[value].copy()


def _reason(snapshot: Snapshot, value: str) -> Mask:
    return _rows(
        snapshot, lambda row: (verdict := snapshot.verdicts[row]) is not None and verdict.reason.value == value
    )


def _lacks(snapshot: Snapshot, value: str) -> Mask:
    return snapshot.lacks[value].copy()


def _group(snapshot: Snapshot, value: str) -> Mask:
    return snapshot.groups >= 0 if value == "any" else snapshot.groups == int(value)


def _by(snapshot: Snapshot, value: str) -> Mask:
    return snapshot.edited.copy()


HELD: dict[str, Callable[[Snapshot, str], Mask]] = {
    "": _text,
    "tag": _tag,
    "concept": _concept,
    "path": _path,
    "name": _name,
    "caption": _caption,
    "flag": _flag,
    "verdict": _verdict,
    "reason": _reason,
    "lacks": _lacks,
    "group": _group,
    "by": _by,
}
FIXED = {"verdict": ("kept", "dropped", "edited"), "by": ("person",)}
"""Keys of which all values are known, whatever the set."""


# --- in words


def words(term: Term) -> str:
    """A question as a sentence's end: `images that have the tag smile and not: are dropped`."""
    match term:
        case Everything():
            return "all images"
        case Not(inner):
            return f"not ({words(inner)})" if isinstance(inner, And | Or) else f"not {words(inner)}"
        case And(terms):
            return ", and ".join(words(each) for each in terms)
        case Or(terms):
            return " or ".join(f"({words(each)})" if isinstance(each, And) else words(each) for each in terms)
        case Figure(name, sign, number):
            return f"{name} {sign} {number:.10g}"
        case ScoreOf(tag, sign, number):
            return f"scored {sign} {number:.10g} for {tag}"
        case Held(key, value):
            return _held_words(key, value)


def _held_words(key: str, value: str) -> str:
    if key == "":
        return f'tagged "{value}", or with it in path or caption'
    if key == "verdict":
        return {"edited": "decided about by you"}.get(value, value)
    if key == "by":
        return "decided about by you"
    if key == "flag":
        return "with any flag or contradiction" if value == "any" else f"flagged {value}"
    if key == "group":
        return "with copies" if value == "any" else f"in group {value} of copies"
    return {
        "tag": f'tagged "{value}"',
        "concept": f"of {value}",
        "path": f'with "{value}" in the path',
        "name": f'named "{value}"',
        "caption": f'with "{value}" in the caption',
        "reason": f"judged {value.replace('_', ' ')}",
        "lacks": f"without {value}",
    }[key]
