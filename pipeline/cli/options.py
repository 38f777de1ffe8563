"""Flags: click parameters made from a stage's Options, and the values a person gave with them."""

from __future__ import annotations

import math
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import click

from pipeline.config.declared import Setting, declared, help_texts
from pipeline.config.other_names import OtherNames, other_names

OTHER = "other_name__"
"""What stands before the names of parameters that are another trainer's."""


class Number(click.ParamType[float]):
    """A finite number; `nan` and `inf` are refused."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number", param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


class Pair(click.ParamType[tuple[str, Any]]):
    """`KEY=VALUE`. A text is split at the first `=`, a number after the last one, as a concept's name may hold one."""

    def __init__(self, kind: click.ParamType[Any]) -> None:
        self.kind = kind
        self.name = "key=value"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "KEY=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        if isinstance(value, tuple):
            return value
        key, equals, text = value.partition("=") if self.kind is click.STRING else value.rpartition("=")
        if not equals or not key:
            self.fail(f"{value!r} is not KEY=VALUE", param, ctx)
        return key, self.kind.convert(text, param, ctx)


def options_from(options: type) -> list[click.Parameter]:
    """One click option per declared setting; none has a default, so that what was not given is known."""
    texts = help_texts(options)
    settings = [setting for setting in declared(options) if setting.section == "stage"]
    found: list[click.Parameter] = [_option(setting, texts.get(setting.name, "")) for setting in settings]
    if others := other_names(options):
        found += _hidden(others, {setting.flag: setting.kind for setting in settings})
    return found


def _hidden(others: OtherNames, ours: Mapping[str, Any]) -> Iterator[click.Option]:
    """Flags by another trainer's names, with underscores or hyphens; what is one of ours already is taken with
    underscores too."""
    for name in others:
        flag = "--" + name.replace("_", "-")
        flags = list(dict.fromkeys(each for each in ("--" + name, flag) if each not in ours))
        if not flags:
            continue
        if name in others.switches or ours.get(flag) is bool:
            yield click.Option([OTHER + name, *flags], is_flag=True, default=None, hidden=True)
        else:
            kind = click.Path(path_type=Path) if name in others.paths else click.STRING
            yield click.Option([OTHER + name, *flags], type=kind, multiple=name in others.lists, hidden=True)


def _option(setting: Setting, text: str) -> click.Option:
    names = [setting.name, setting.flag]
    text = f"{text}{_shown_default(setting)}"
    origin, inner = typing.get_origin(setting.kind), typing.get_args(setting.kind)
    if setting.kind is bool:
        return click.Option([setting.name, f"{setting.flag}/--no-{setting.flag[2:]}"], default=None, help=text)
    if origin is Mapping:
        return click.Option(names, type=Pair(_type(inner[1])), multiple=True, help=text + " Repeatable.")
    if origin is tuple and inner[-1] is Ellipsis:
        return click.Option(names, type=_type(inner[0]), multiple=True, help=text + " Repeatable.")
    if origin is tuple:
        return click.Option(names, type=click.Tuple([_type(each) for each in inner]), default=None, help=text)
    return click.Option(names, type=_type(setting.kind), default=None, help=text)


def _type(kind: Any) -> click.ParamType[Any]:
    if typing.get_origin(kind) is Literal:
        return click.Choice([str(each) for each in typing.get_args(kind)])
    if kind is Path:
        return click.Path(path_type=Path)
    return {int: click.INT, float: Number(), str: click.STRING}[kind]


def _shown_default(setting: Setting) -> str:
    value = setting.default
    if value is None or value == "" or value == () or value == {}:
        return ""
    if isinstance(value, bool):
        shown = setting.flag[2:] if value else f"no-{setting.flag[2:]}"
    elif isinstance(value, Mapping):
        shown = ", ".join(f"{key}={each}" for key, each in value.items())
    else:
        shown = ", ".join(_text(each) for each in value) if isinstance(value, tuple) else _text(value)
    return f" [default: {shown}]"


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def given_flags(context: click.Context, options: type) -> dict[str, Any]:
    """Field → value for the flags that stand on the command line, and only those."""
    kinds = {setting.name: setting.kind for setting in declared(options)}
    given = {
        name: value
        for name, value in context.params.items()
        if name in kinds and context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    }
    found = {name: _value(value, kinds[name]) for name, value in given.items()}
    for place, value in context.params.items():
        if place.startswith(OTHER) and context.get_parameter_source(place) is click.core.ParameterSource.COMMANDLINE:
            name = place.removeprefix(OTHER)
            if name in found:
                raise click.UsageError(
                    f"--{name.replace('_', '-')} and --{name} are the same option: give one", context
                )
            found[name] = value
    return found


def _value(value: Any, kind: Any) -> Any:
    if typing.get_origin(kind) is Mapping:
        return dict(value)
    if typing.get_origin(kind) is Literal:
        return next(each for each in typing.get_args(kind) if str(each) == value)
    return value
