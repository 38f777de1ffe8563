"""From text to terms: words joined by AND where nothing stands between them, OR, NOT or -, brackets and quotes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches

from pipeline.core.errors import PrepError
from pipeline.review.query.terms import (
    COMPARED,
    FIGURES,
    HELD,
    And,
    Everything,
    Figure,
    Held,
    Not,
    Or,
    ScoreOf,
    Term,
    quoted,
)

LONGEST = 2000
DEEPEST = 40
KEYS = (*(key for key in HELD if key), "score")
_SIGNS = "|".join(sorted(COMPARED, key=len, reverse=True))
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_TOKEN = re.compile(
    rf'\s*(?:(?P<open>\()|(?P<close>\))|(?P<minus>-(?=\S)(?!_-(?:[\s()]|$)))|(?P<word>(?:{_QUOTED}|[^\s()"]|(?<=_)\([^\s()"]*\))+))'
)
_KEYED = re.compile(r"(?P<key>[A-Za-z]+):(?P<value>.*)", re.DOTALL)
_FIGURE = re.compile(rf"(?P<name>[A-Za-z]+)(?P<sign>{_SIGNS})(?P<number>[-+.\w]*)$")
_SCORE = re.compile(
    rf"(?P<tag>.*?)(?:(?P<sign>{_SIGNS})(?P<number>[-+.\w]*)|:(?P<low>-?[.\d]+?)\.\.(?P<high>-?[.\d]+))?$", re.DOTALL
)


@dataclass(slots=True)
class _Tokens:
    """(kind, text) one after the other."""

    held: list[tuple[str, str]]
    at: int = 0
    depth: int = 0

    @property
    def kind(self) -> str:
        return self.held[self.at][0] if self.at < len(self.held) else ""

    @property
    def text(self) -> str:
        return self.held[self.at][1] if self.at < len(self.held) else ""

    def next(self) -> str:
        self.at += 1
        return self.held[self.at - 1][1]


def read(text: str) -> Term:
    """The question that a text asks; nothing asks for everything.

    Raises:
        PrepError: it is no question; the message says where, and what may have been meant.
    """
    if len(text) > LONGEST:
        raise PrepError(f"the question has {len(text)} letters", f"ask in {LONGEST} at most")
    tokens = _Tokens(_split(text))
    if not tokens.held:
        return Everything()
    found = _either(tokens)
    if tokens.kind == "close":
        raise PrepError("a bracket is closed that was never opened", 'put it in quotes if it belongs to a name: ":)"')
    return found


def _split(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.end() == at:
            raise PrepError(f"the quotes at {text[at:].strip()[:20]!r} are not closed", 'close them with "')
        kind = str(match.lastgroup)
        found.append((kind, match[kind]))
        at = match.end()
    return found


def _either(tokens: _Tokens) -> Term:
    found = [_all(tokens)]
    while tokens.kind == "word" and tokens.text == "OR":
        tokens.next()
        found.append(_all(tokens))
    return found[0] if len(found) == 1 else Or(tuple(found))


def _all(tokens: _Tokens) -> Term:
    found: list[Term] = []
    while tokens.kind and tokens.kind != "close" and not (tokens.kind == "word" and tokens.text == "OR"):
        if tokens.kind == "word" and tokens.text == "AND":
            tokens.next()
            continue
        found.append(_one(tokens))
    if not found:
        raise PrepError("something is missing beside OR, NOT or in brackets", "write a tag or key:value there")
    return found[0] if len(found) == 1 else And(tuple(found))


def _one(tokens: _Tokens) -> Term:
    if tokens.kind == "minus" or (tokens.kind == "word" and tokens.text == "NOT"):
        tokens.next()
        if not tokens.kind or tokens.kind == "close":
            raise PrepError("NOT stands before nothing", "write what the images must not be")
        _deeper(tokens)
        inner = _one(tokens)
        tokens.depth -= 1
        return Not(inner)
    if tokens.kind == "open":
        tokens.next()
        _deeper(tokens)
        inner = _either(tokens)
        if tokens.kind != "close":
            raise PrepError("a bracket is not closed", "close it with )")
        tokens.next()
        tokens.depth -= 1
        return inner
    return _word(tokens.next())


def _deeper(tokens: _Tokens) -> None:
    tokens.depth += 1
    if tokens.depth > DEEPEST:
        raise PrepError(f"brackets are nested more than {DEEPEST} deep", "ask in fewer steps")


def _word(text: str) -> Term:
    figure = _FIGURE.match(text)
    if figure is not None and ":" not in text:
        return _figure(figure["name"], figure["sign"], figure["number"])
    keyed = _KEYED.match(text)
    if keyed is None or text.startswith('"'):
        return Held("", _bare(text))
    key, value = keyed["key"].lower(), keyed["value"]
    if key not in KEYS:
        near = get_close_matches(key, (*KEYS, *FIGURES), 3, 0.4)
        raise PrepError(
            f"{key}: is nothing that can be asked",
            f"ask by {', '.join(f'{each}:' for each in near or KEYS)} or put it in quotes, as a tag",
        )
    if key == "score":
        return _score(value)
    if not _bare(value):
        raise PrepError(f"{key}: stands without a value", f"write it behind the colon, as in {key}:something")
    return Held(key, _bare(value))


def _figure(name: str, sign: str, number: str) -> Term:
    if name.lower() not in FIGURES:
        near = get_close_matches(name.lower(), FIGURES, 3, 0.4)
        raise PrepError(
            f"{name} is no figure of an image", f"ask by {', '.join(near or FIGURES)}; put it in quotes if it is a tag"
        )
    return Figure(name.lower(), sign, _number(number, f"{name}{sign}"))


def _score(value: str) -> Term:
    match = _SCORE.match(value)
    assert match is not None
    tag = _bare(match["tag"])
    if not tag:
        raise PrepError("score: stands without a tag", 'write score:smile>=0.3, or score:"red hat":0.2..0.4')
    if match["low"] is not None:
        low, high = _score_number(match["low"], tag), _score_number(match["high"], tag)
        if low > high:
            raise PrepError(
                f"score:{tag} from {low:g} to {high:g} holds nothing", f"type score:{quoted(tag)}:{high:g}..{low:g}"
            )
        return And((ScoreOf(tag, ">=", low), ScoreOf(tag, "<=", high)))
    if match["sign"] is not None:
        return ScoreOf(tag, match["sign"], _number(match["number"], f"score:{tag}"))
    return ScoreOf(tag)


def _score_number(text: str, tag: str) -> float:
    """One end of a range of scores."""
    number = _number(text, f"score:{tag}:")
    if not 0 <= number <= 1:
        raise PrepError(f"{number:g} is no score of {tag}", f"scores are 0 to 1: type score:{quoted(tag)}:0.2..0.4")
    return number


def _number(text: str, before: str) -> float:
    if "_" in text:
        plain = text.replace("_", "")
        raise PrepError(f"{text!r} behind {before} has a _ in it", f"write the number without, as in {before}{plain}")
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if number != number or number in (float("inf"), float("-inf")):
        raise PrepError(f"{text!r} behind {before} is no number", f"write one, as in {before}3") from None
    return number


def _bare(text: str) -> str:
    """A value without its quotes."""
    return re.sub(_QUOTED, lambda match: re.sub(r"\\(.)", r"\1", match[0][1:-1]), text)
