"""Declared options: one declaration per option gives its flag, its key in prep.toml, its default and its help.

A stage declares `Options`, a frozen dataclass whose fields each have a docstring below them. A field with
`metadata={"section": "set"}` is filled from the `[set]` section and has no flag; one with the name of another stage there
is filled from that stage's section. A field that is a dataclass itself is a part: its options are those of the whole, in
one flat list of flags and keys.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import textwrap
import types
import typing
from dataclasses import dataclass
from typing import Any

from pipeline.config.parts import parts_of
from pipeline.config.rules import default_of


@dataclass(frozen=True, slots=True)
class Setting:
    """One option of a stage. `kind` is its type without `| None`, `optional` whether None is allowed."""

    name: str
    kind: Any
    optional: bool
    default: Any
    section: str

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")


@functools.cache
def declared(options: type) -> tuple[Setting, ...]:
    """The settings that an Options class and its parts declare, in their order."""
    hints = typing.get_type_hints(options)
    found: list[Setting] = []
    for item in dataclasses.fields(options):
        if not item.compare:
            continue  # no setting, but what became of some
        if dataclasses.is_dataclass(hints[item.name]):
            found += declared(hints[item.name])
        else:
            kind, optional = _without_none(hints[item.name])
            found.append(Setting(item.name, kind, optional, default_of(item), item.metadata.get("section", "stage")))
    return tuple(found)


@functools.cache
def help_texts(options: type) -> dict[str, str]:
    """Field → the docstring below it, on one line."""
    texts = {name: text for part in parts_of(options).values() for name, text in help_texts(part).items()}
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(options))).body
    assert isinstance(body, ast.ClassDef)
    for before, after in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(before, ast.AnnAssign)
            and isinstance(before.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
            and isinstance(after.value.value, str)
        ):
            texts[before.target.id] = " ".join(after.value.value.split())
    return texts


def _without_none(kind: Any) -> tuple[Any, bool]:
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        rest = [part for part in typing.get_args(kind) if part is not type(None)]
        assert len(rest) == 1, f"an option has one type, not {kind}"
        return rest[0], True
    return kind, False
