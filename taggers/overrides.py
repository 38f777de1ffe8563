"""A tagger in a folder: model.toml says what it wants, where its files do not say it themselves."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path, PurePath
from typing import Any, get_args

from taggers.errors import TaggerError
from taggers.families import BUILT_IN
from taggers.spec import OVERRIDES, Activation, Channels, Interpolation, LabelKind, Layout, ModelSpec

PREPROCESS = "preprocess.json"
LIKE = "like"


def folder_spec(folder: Path) -> ModelSpec:
    """The spec of a folder: that of the built-in tagger its model.toml says it is `like`, with the rest changed.

    Raises:
        TaggerError: model.toml cannot be read, or says something that makes no sense; all problems at once.
    """
    name, file = folder.resolve().name, folder / OVERRIDES
    if not file.exists():
        return _undeclared(name, folder)
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TaggerError(
            f"{file} cannot be read: {error}", 'write it as UTF-8 TOML, such as: layout = "NCHW"'
        ) from error
    problems = [
        f"{key} = {value!r}: expected {_EXPECTED[key] if key in _EXPECTED else 'one of these keys: ' + ', '.join(_EXPECTED)}"
        for key, value in given.items()
        if key not in _EXPECTED or not _fits(key, value)
    ]
    if problems:
        raise TaggerError(
            "\n".join(f"{file}: {problem}" for problem in problems), f"mend {file} and run the same again"
        )
    like = given.pop(LIKE, None)
    base = _moved(BUILT_IN[like]) if like else ModelSpec(name=name)
    return replace(base, name=name, folder=folder, **{key: _value(key, value) for key, value in given.items()})


def _undeclared(name: str, folder: Path) -> ModelSpec:
    """A folder without model.toml: preprocess.json declares enough, selected_tags.csv may show the WD family."""
    if (folder / PREPROCESS).exists():
        return ModelSpec(name=name, folder=folder, layout="NCHW", channels="RGB", scale=1.0, preprocess=PREPROCESS)
    return ModelSpec(name=name, folder=folder, declared=False)


def _moved(spec: ModelSpec) -> ModelSpec:
    """A built-in spec for files that lie in a folder, under the last part of their names on the hub."""
    model, labels = PurePath(spec.model).name, PurePath(spec.labels).name
    return replace(spec, repo="", revision="", checksums={}, model=model, labels=labels)


_CHOICES: Mapping[str, tuple[str, ...]] = {
    "label_kind": get_args(LabelKind),
    "layout": get_args(Layout),
    "channels": get_args(Channels),
    "fit": get_args(Interpolation),
    "interpolation": get_args(Interpolation),
    "activation": get_args(Activation),
}
_EXPECTED = {
    LIKE: "the name of a built-in tagger: " + ", ".join(name for name in BUILT_IN if name != "miniature"),
    **{key: "one of " + ", ".join(choices) for key, choices in _CHOICES.items()},
    "model": "the name of a file in the same folder",
    "labels": "the name of a file in the same folder",
    "preprocess": "the name of a file in the same folder",
    "scale": "a number above 0, such as 255 or 1",
    "mean": "three numbers, in RGB order",
    "std": "three numbers, in RGB order, above 0",
    "pad": "three whole numbers 0 to 255 in RGB order, or false to stretch",
    "canvas": "pixels, 16 to 4096, or 0 to pad at the image's own size",
    "side": "pixels, 16 to 4096",
    "output": "a text in quotes",
    "thresholds": "categories with a number from 0 to 1 each, such as { general = 0.35, character = 0.85 }",
    "exclusive": 'a list of categories, such as ["rating"]',
}
assert set(_EXPECTED) - {LIKE} <= {each.name for each in fields(ModelSpec)}


def _fits(key: str, value: Any) -> bool:
    checks: dict[str, Callable[[Any], bool]] = {
        LIKE: lambda name: isinstance(name, str) and name in BUILT_IN and name != "miniature",
        "model": _is_file_name,
        "labels": _is_file_name,
        "preprocess": _is_file_name,
        "scale": lambda number: _numbers([number]) and number > 0,
        "mean": lambda list_: _numbers(list_) and len(list_) == 3,
        "std": lambda list_: _numbers(list_) and len(list_) == 3 and all(part > 0 for part in list_),
        "pad": lambda list_: list_ is False or (_numbers(list_) and len(list_) == 3 and _are_bytes(list_)),
        "canvas": lambda number: type(number) is int and (number == 0 or 16 <= number <= 4096),
        "side": lambda number: type(number) is int and 16 <= number <= 4096,
        "output": lambda text: isinstance(text, str),
        "thresholds": lambda table: (
            isinstance(table, dict)
            and _numbers(list(table.values()))
            and all(0 <= part <= 1 for part in table.values())
        ),
        "exclusive": lambda list_: isinstance(list_, list) and all(isinstance(part, str) for part in list_),
    }
    if key in _CHOICES:
        return value in _CHOICES[key]
    return checks[key](value)


def _value(key: str, value: Any) -> Any:
    """A value of model.toml that fits, as the spec holds it."""
    if key == "pad":
        return None if value is False else tuple(value)
    if key in ("mean", "std"):
        return tuple(float(part) for part in value)
    return tuple(value) if key == "exclusive" else value


def _is_file_name(text: Any) -> bool:
    return (
        isinstance(text, str) and text not in ("", ".", "..") and PurePath(text).name == text and "\\" not in text
    ) and ":" not in text


def _are_bytes(parts: list[Any]) -> bool:
    return all(isinstance(part, int) and 0 <= part <= 255 for part in parts)


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(part, int | float) and not isinstance(part, bool) and abs(part) < 1e9 for part in value
    )
