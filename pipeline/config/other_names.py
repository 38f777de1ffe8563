"""Settings by the names that another trainer gives them: what each becomes here, or why it has no place.

An Options class that takes such names has a class variable `other_names`, and a field `translated` for what became of
those that were given, which a plan can tell.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.core.errors import PrepError

Values = Mapping[str, Any]
Rewrite = Callable[[Any, Values], dict[str, Any] | str]
"""From a value, and everything given beside it, to settings of ours, or why none is to be set; a ValueError says what was
expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherNames:
    """`renamed` has our name for theirs, where both take the same values; `rewritten` what else becomes of a value;
    `refused` why there is no such setting, and what to do. `switches` take no value on the command line, `lists` several,
    `paths` are files."""

    trainer: str
    renamed: Mapping[str, str]
    rewritten: Mapping[str, Rewrite]
    refused: Mapping[str, str]
    switches: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()

    def __contains__(self, name: object) -> bool:
        return name in self.renamed or name in self.rewritten or name in self.refused

    def __iter__(self) -> Iterator[str]:
        yield from dict.fromkeys((*self.renamed, *self.rewritten, *self.refused))


def other_names(options: type) -> OtherNames | None:
    """Another trainer's names that are taken for these options too."""
    found: OtherNames | None = getattr(options, "other_names", None)
    return found


@dataclass(frozen=True, slots=True)
class Translation:
    """Settings by our names, and what became of each that was given by another."""

    values: Mapping[str, Any]
    info: tuple[str, ...] = ()


def translated(
    values: Values, others: OtherNames, kinds: Mapping[str, Any], convert: Callable[..., Any]
) -> Translation:
    """Take values by our names and by others; a name that both have is ours where its value is of our type.

    Args:
        kinds: our settings, each with its type.
        convert: (value, kind) → the value as that type, or ValueError.
    Raises:
        PrepError: a name has no equivalent, a value cannot be taken, or a setting is given by both names; all at once.
    """
    ours = {
        name: value for name, value in values.items() if name not in others or _is_ours(name, value, kinds, convert)
    }
    found, source = dict(ours), {name: name for name in ours}
    info, problems = list[str](), list[str]()
    for name, value in values.items():
        if name in ours:
            continue
        try:
            made, why = _made(name, value, values, others, kinds, convert)
        except ValueError as error:
            problems.append(f"{name} = {shown(value)}: {error}")
            continue
        problems += [
            f"{name} and {source[key]} are the same setting{'' if key in (name, source[key]) else f', {key}'}: give one"
            for key in made
            if key in source
        ]
        found |= made
        source |= dict.fromkeys(made, name)
        if others.renamed.get(name) != name:
            became = why or ", ".join(f"{key} = {shown(each)}" for key, each in made.items())
            info.append(f"{name} = {shown(value)} → {became}")
    if problems:
        raise PrepError(
            "\n".join(f"train: {problem}" for problem in problems), f"these are names of {others.trainer}'s options"
        )
    return Translation(found, tuple(info))


def _is_ours(name: str, value: Any, kinds: Mapping[str, Any], convert: Callable[..., Any]) -> bool:
    if name not in kinds:
        return False
    try:
        convert(value, kinds[name])
    except ValueError:
        return value is None
    return True


def _made(
    name: str, value: Any, values: Values, others: OtherNames, kinds: Mapping[str, Any], convert: Callable[..., Any]
) -> tuple[dict[str, Any], str]:
    """Settings of ours, and where there are none why."""
    if name in others.refused:
        raise ValueError(others.refused[name])
    made = {others.renamed[name]: value} if name in others.renamed else others.rewritten[name](value, values)
    if isinstance(made, str):
        return {}, made
    return {key: convert(read(each, kinds[key]), kinds[key]) for key, each in made.items()}, ""


def read(value: Any, kind: Any) -> Any:
    """A text from the command line as the type that is wanted; anything else as it is."""
    if not isinstance(value, str):
        return value
    if typing.get_origin(kind) is Literal:
        return next((each for each in typing.get_args(kind) if str(each) == value), value)
    if kind is bool and value.lower() in ("true", "false"):
        return value.lower() == "true"
    try:
        return int(value) if kind is int else float(value) if kind is float else value
    except ValueError:
        return value


def shown(value: Any) -> str:
    """A value as people write it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(shown, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {shown(each)}" for key, each in value.items()) + "}"
    return f"{value:g}" if isinstance(value, float) else str(value)
