"""What an option may be, said beside its field: its range, what it needs to do anything, and what it changes.

    min_snr_gamma: float = option(5.0, above(0), needs("weighting", "min-snr"))

`broken(options)` finds every rule that a value breaks, each with what to type instead.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Problem = tuple[str, str]
"""What is wrong, with the value seen, and what to type."""


@dataclass(frozen=True, slots=True)
class Range:
    """What a value must be; `needed` says it in words. None, where the option may be left out, is never asked."""

    holds: Callable[[Any], bool]
    needed: str


@dataclass(frozen=True, slots=True)
class Needs:
    """The option does nothing unless `owner` is one of `uses`."""

    owner: str
    uses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Idle:
    """The option does nothing unless one of the options `unless` is set; `why` ends "NAME is VALUE, but …"."""

    unless: tuple[str, ...]
    why: str
    hint: str


@dataclass(frozen=True, slots=True)
class Effect:
    """`learned` is whether the option changes what is learned, `personal` whether it belongs to one person's run, so that
    no preset has a say in it."""

    learned: bool = True
    personal: bool = False


BESIDE = Effect(learned=False)
"""The option changes nothing of what is learned: a run can be resumed with another value."""
PERSONAL = Effect(personal=True)
PERSONAL_BESIDE = Effect(learned=False, personal=True)

Rule = Range | Needs | Idle | Effect


def option(default: Any, *rules: Rule) -> Any:
    """A dataclass field with its default (a class is called for it) and its rules."""
    metadata = {"rules": rules}
    if isinstance(default, type):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def at_least(least: float) -> Range:
    words = {0: "0 or more", -1: "-1 or more"}.get(int(least), f"at least {least:g}")
    return Range(lambda value: value >= least, words)


def above(bound: float, at_most: float | None = None) -> Range:
    if at_most is None:
        return Range(lambda value: value > bound, f"above {bound:g}")
    return Range(lambda value: bound < value <= at_most, f"above {bound:g} and at most {at_most:g}")


def between(least: float, most: float) -> Range:
    return Range(lambda value: least <= value <= most, f"from {least:g} to {most:g}")


def share() -> Range:
    """A part of a whole that is never all of it."""
    return Range(lambda value: 0 <= value < 1, "0 or more and below 1")


def needs(owner: str, *uses: str) -> Needs:
    return Needs(owner, uses)


def idle_unless(*names: str, why: str, hint: str = "") -> Idle:
    """Without a hint the names are what to use."""
    return Idle(names, why, hint)


def rules_of(options: type) -> dict[str, tuple[Rule, ...]]:
    """Field → its rules, of a class of options without parts."""
    return {item.name: item.metadata.get("rules", ()) for item in dataclasses.fields(options)}


def names_with(effect: Callable[[Effect], bool], *classes: type) -> frozenset[str]:
    """The options of these classes whose effect is so."""
    return frozenset(
        name
        for options in classes
        for name, rules in rules_of(options).items()
        for rule in rules
        if isinstance(rule, Effect) and effect(rule)
    )


def out_of_range(options: Any) -> Iterator[Problem]:
    """Every value that is not in its range."""
    for name, rules in rules_of(type(options)).items():
        value = getattr(options, name)
        for rule in rules:
            if isinstance(rule, Range) and value is not None and not rule.holds(value):
                yield (
                    f"{name} is {value!r}, it must be {rule.needed}",
                    f"set {name} in [train] or on the command line",
                )


def idle(options: Any, actual: Mapping[str, Any] | None = None) -> Iterator[Problem]:
    """Every option that was set, but does nothing beside the others.

    Args:
        actual: values of options that are chosen by others where they are not given.
    """
    actual = actual or {}
    for item in dataclasses.fields(options):
        value = getattr(options, item.name)
        if value == default_of(item):
            continue
        shown = repr(list(value)) if isinstance(value, tuple) else repr(value)
        for rule in item.metadata.get("rules", ()):
            if isinstance(rule, Needs):
                owner = actual.get(rule.owner, getattr(options, rule.owner))
                if owner not in rule.uses:
                    yield (
                        f"{item.name} is {shown}, but does nothing with {rule.owner} = {owner!r}",
                        f"leave {item.name} out, or use {rule.owner} = " + " or ".join(f'"{use}"' for use in rule.uses),
                    )
            elif isinstance(rule, Idle) and not any(getattr(options, name) for name in rule.unless):
                yield f"{item.name} is {shown}, but {rule.why}", rule.hint or f"leave {item.name} out"


def default_of(item: dataclasses.Field[Any]) -> Any:
    """A field's default.

    Raises:
        AssertionError: it has none, which an option must.
    """
    if item.default_factory is not dataclasses.MISSING:
        return item.default_factory()
    assert item.default is not dataclasses.MISSING, f"option {item.name} needs a default"
    return item.default
