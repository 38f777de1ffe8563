"""A file of rules about tags, one a line, for what a person decided: names, bans, thresholds, what belongs to whom.

    # a line of explanation
    rename: ;) -> wink smile            call a tag something else
    drop: *background*                  never in a caption; * stands for anything
    threshold: wariza = 0.6             the probability from which this tag holds
    keep: Mihari: blue eyes             stays in captions although it makes Mihari
    prune: Mihari: ahoge                left out where Mihari's trigger word stands, whatever the figures say
    prune: watch                        where any trigger word does
    imply: holding sword -> sword       the second is needless beside the first
    distinct: hair bow -> bow           the second is never needless beside the first

A rule ends with its line and begins with its kind and a colon, so that any tag can be named: `;)`, `:d`, `>:)`, `=_=`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from pipeline.core.errors import PrepError
from pipeline.core.files import read_limited
from pipeline.tags.vocabulary.aliases import canonical, split_caption

LARGEST_BYTES = 4 * 2**20
EVERYONE = "*"
"""Stands for every trigger word."""


@dataclass(slots=True)
class RuleFile:
    """What the lines say; names are in the spelling of captions."""

    rename: dict[str, str] = field(default_factory=dict)
    drop: list[str] = field(default_factory=list)
    threshold: dict[str, float] = field(default_factory=dict)
    keep: dict[str, list[str]] = field(default_factory=dict)
    prune: dict[str, list[str]] = field(default_factory=dict)
    imply: list[tuple[str, str]] = field(default_factory=list)
    distinct: list[tuple[str, str]] = field(default_factory=list)


def read_rules(file: Path) -> RuleFile:
    """Read a file of rules.

    Raises:
        PrepError: it is not there, is no UTF-8 text, or lines of it cannot be understood; all of them at once.
    """
    try:
        content = read_limited(file, LARGEST_BYTES)
    except OSError as error:
        raise PrepError(
            f"rules: {file} cannot be read: {error.strerror}", "name a text file with a rule a line"
        ) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise PrepError(f"rules: {file}, line {line} is not UTF-8", "save it as UTF-8") from error
    rules, problems = parse_rules(text)
    if problems:
        raise PrepError("\n".join(f"{file}, {each}" for each in problems), f"mend {file} and run the same again")
    return rules


def parse_rules(text: str) -> tuple[RuleFile, tuple[str, ...]]:
    """Returns what the lines say, and what is wrong as `line 3: …, expected …`, one for each line that is."""
    rules, problems = RuleFile(), []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        kind, colon, rest = line.partition(":")
        kind, rest = kind.strip(), rest.strip()
        if not colon or kind not in _KINDS:
            near = get_close_matches(kind, _KINDS, 1)
            problems.append(
                f"line {number}: {line!r} begins with none of {', '.join(_KINDS)} and a colon"
                + (f"; did you mean {near[0]}?" if near else "")
            )
            continue
        problem = _KINDS[kind](rules, rest)
        if problem:
            problems.append(f"line {number}: {line!r}: {problem}")
    return rules, tuple(problems)


def _arrow(rest: str) -> tuple[str, str] | None:
    """The two tags around ` -> `."""
    left, arrow, right = rest.partition(" -> ")
    left, right = canonical(left), canonical(right)
    return (left, right) if arrow and left and right else None


def _rename(rules: RuleFile, rest: str) -> str:
    pair = _arrow(rest)
    if pair is None or "," in pair[1]:
        return "expected rename: tag -> another tag, without commas"
    if rules.rename.get(pair[0], pair[1]) != pair[1]:
        return f"expected one name only, {pair[0]} is renamed to {rules.rename[pair[0]]} above"
    rules.rename[pair[0]] = pair[1]
    return ""


def _drop(rules: RuleFile, rest: str) -> str:
    if not rest or "," in rest:
        return "expected drop: one tag or pattern, without commas"
    rules.drop.append(canonical(rest))
    return ""


def _threshold(rules: RuleFile, rest: str) -> str:
    tag, _, figure = rest.rpartition("=")
    try:
        number = float(figure)
    except ValueError:
        number = math.nan
    if not canonical(tag) or not 0 < number <= 1:
        return "expected threshold: tag = a probability above 0, at most 1"
    rules.threshold[canonical(tag)] = number
    return ""


def _of_trigger(kind: str) -> Callable[[RuleFile, str], str]:
    def take(rules: RuleFile, rest: str) -> str:
        trigger, _, tag = rest.rpartition(": ")
        if not canonical(tag) or "," in tag:
            return f"expected {kind}: trigger word: one tag, or {kind}: one tag"
        of_trigger: dict[str, list[str]] = getattr(rules, kind)
        of_trigger.setdefault(trigger.strip() or EVERYONE, []).append(canonical(tag))
        return ""

    return take


def _pair(kind: str) -> Callable[[RuleFile, str], str]:
    def take(rules: RuleFile, rest: str) -> str:
        pair = _arrow(rest)
        if pair is None or pair[0] == pair[1]:
            return f"expected {kind}: the exact tag -> the general tag"
        pairs: list[tuple[str, str]] = getattr(rules, kind)
        pairs.append(pair)
        return ""

    return take


_KINDS: dict[str, Callable[[RuleFile, str], str]] = {
    "rename": _rename,
    "drop": _drop,
    "threshold": _threshold,
    "keep": _of_trigger("keep"),
    "prune": _of_trigger("prune"),
    "imply": _pair("imply"),
    "distinct": _pair("distinct"),
}


def lists_of(
    rules: Mapping[str, Sequence[str]], given: Mapping[str, str], known: Callable[[str], str]
) -> dict[str, tuple[str, ...]]:
    """Trigger word → its tags, from the rules and from an option, as the taggers know them."""
    found = {trigger: list(tags) for trigger, tags in rules.items()}
    for trigger, text in given.items():
        found.setdefault(trigger, []).extend(split_caption(text))
    return {trigger: tuple(dict.fromkeys(map(known, tags))) for trigger, tags in found.items()}
