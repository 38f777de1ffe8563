"""Settings: what a prep.toml says, and the options that a stage runs with, each with where its value came from."""

from __future__ import annotations

import difflib
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.config import registry
from pipeline.config.declared import declared
from pipeline.config.other_names import OtherNames, Translation, other_names, translated
from pipeline.config.parts import composed
from pipeline.config.values import absolute_source, convert, toml_value
from pipeline.core.errors import PrepError
from pipeline.core.files import read_limited

T = typing.TypeVar("T")
FILE = "prep.toml"
NEAREST = 3
"""Names that are offered for one that is not known."""
LARGEST_BYTES = 2**24
"""Of a prep.toml."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a prep.toml says: where the set is, its sources, and the keys given per stage, already of their types."""

    file: Path | None = None
    path: Path | None = None
    sources: tuple[str, ...] = ()
    stages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


# --- reading a prep.toml


def load_settings(file: Path) -> Settings:
    """Read a prep.toml strictly.

    Raises:
        PrepError: it cannot be read, or anything in it is unknown, of a wrong type or out of range; all at once.
    """
    try:
        document = tomllib.loads(read_limited(file, LARGEST_BYTES).decode("utf-8-sig").replace("\r\n", "\n"))
    except OSError as error:
        raise PrepError(f"{file} cannot be read: {error.strerror}", "name a TOML file with the settings") from error
    except UnicodeDecodeError as error:
        raise PrepError(f"{file} is not UTF-8: {error}", "save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise PrepError(f"{file} is not TOML: {error}", "texts need quotes, true and false are lower case") from error
    base = file.absolute().parent
    names = [entry.name for entry in registry.STAGES]
    problems: list[str] = []
    stages: dict[str, dict[str, Any]] = {}
    for section, table in document.items():
        if section not in ("set", *names):
            problems.append(f"unknown section [{section}]{suggest(section, ('set', *names))}")
        elif not isinstance(table, dict):
            problems.append(f"{section} = {toml_value(table)}: expected a section, [{section}]")
        elif section != "set":
            stages[section] = _read_section(section, table, base, problems)
    place = document.get("set", {}) if isinstance(document.get("set"), dict) else {}
    given = _read_keys("set", place, {"path": Path, "sources": tuple[str, ...]}, base, problems)
    sources = tuple(absolute_source(source, base) for source in given.get("sources", ()))
    if problems:
        raise PrepError("\n".join(f"{file}: {problem}" for problem in problems), f"mend {file} and run the same again")
    return Settings(file, given.get("path"), sources, stages)


def _read_section(section: str, table: Mapping[str, Any], base: Path, problems: list[str]) -> dict[str, Any]:
    entry = registry.stage(section)
    assert entry is not None
    options = entry.options()
    known = {setting.name: setting.kind for setting in declared(options) if setting.section == "stage"}
    before = len(problems)
    values = _read_keys(section, table, known, base, problems, other_names(options))
    if len(problems) == before:
        try:
            layered(options, values, {})
        except PrepError as error:
            problems.append(f"[{section}] {error.message}" + (f" ({error.hint})" if error.hint else ""))
    return values


def _read_keys(
    section: str,
    table: Mapping[str, Any],
    known: Mapping[str, Any],
    base: Path,
    problems: list[str],
    others: OtherNames | None = None,
) -> dict[str, Any]:
    """Values by key, each of its type; those under another trainer's names as they are, to be translated."""
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known and (others is None or key not in others):
            problems.append(f"[{section}] {key} = {toml_value(value)}: unknown key{suggest(key, known, others or ())}")
            continue
        try:
            values[key] = convert(value, known[key], base) if key in known else value
        except ValueError as error:
            if others is None or key not in others:
                problems.append(f"[{section}] {key} = {toml_value(value)}: {error}")
                continue
            values[key] = value
        if others is not None and key in others.paths and isinstance(values[key], str):
            values[key] = convert(value, Path, base)
    return values


def suggest(seen: str, known: typing.Iterable[str], also: typing.Iterable[str] = ()) -> str:
    """`; did you mean x? known: a, b` for a message about a name that is not known, with the three nearest at most; `also` are
    names that are known, but too many to be listed."""
    known = tuple(known)
    near = nearest(seen, (*known, *also))
    return (f"; did you mean {near}?" if near else ";") + " known: " + ", ".join(known)


def nearest(seen: str, known: typing.Iterable[str]) -> str:
    """`x, y or z`: the three known names at most that are nearest to one, the nearest first; "" where none is near."""
    *others, last = difflib.get_close_matches(seen, known, NEAREST) or [""]
    return f"{', '.join(others)} or {last}" if others else last


def settings_of(root: Path) -> Settings:
    """The settings of a set: its prep.toml, or none given."""
    file = root / FILE
    return load_settings(file) if file.exists() else Settings()


@dataclass(frozen=True, slots=True)
class Resolved:
    """The options that a stage runs with, and where each comes from: flag, replay, prep.toml, preset NAME, default."""

    options: Any
    origins: Mapping[str, str]


def options_for(name: str, options: type[T], settings: Settings, flags: Mapping[str, Any]) -> T:
    """The options a stage runs with: a flag goes before prep.toml, prep.toml before the default."""
    found: T = resolved(name, options, settings, flags).options
    return found


def resolved(name: str, options: type, settings: Settings, flags: Mapping[str, Any]) -> Resolved:
    """The options a stage runs with and their origins; see `layered`."""
    given = dict(settings.stages.get(name, {}))
    for setting in declared(options):
        if setting.section == "set":
            given[setting.name] = getattr(settings, setting.name)
        elif setting.section != "stage" and setting.name in (found := _of_section(setting.section, settings)):
            given[setting.name] = found[setting.name]
    return layered(options, given, flags)


def layered(options: type, given: Mapping[str, Any], flags: Mapping[str, Any]) -> Resolved:
    """Lay settings over each other: a flag goes before a run that is done again, that before prep.toml, prep.toml before
    a preset, and a preset before the default.

    Names of another trainer are translated first, layer by layer. Options that can be taken from presets or an earlier run
    have `layers(values)`: any number of layers below prep.toml, then one above it, chosen by the values given.
    """
    stated, typed = _translated(options, given), _translated(options, flags)
    given, flags = stated.values, typed.values
    *below, above = _layers(options, {**given, **flags})
    values, origins = dict[str, Any](), {setting.name: "default" for setting in declared(options)}
    for origin, layer in (*below, (FILE, given), above, ("flag", flags)):
        for one, other in getattr(options, "alternatives", ()):
            if other in layer and layer.get(one) is None:
                values.pop(one, None)  # a lower layer's, which would go before what this one says
            elif other in layer and layer is not above[1]:
                raise PrepError(
                    f"{origin} gives {one} = {layer[one]} and {other} = {layer[other]}, which say the same thing twice",
                    f"give {one} or {other}",
                )
        values |= layer
        origins |= dict.fromkeys(layer, origin)
    if info := (*stated.info, *typed.info):
        values["translated"] = info
    return Resolved(composed(options, values), origins)


def _translated(options: type, values: Mapping[str, Any]) -> Translation:
    """The values by our names, where they were given by another trainer's."""
    others = other_names(options)
    if others is None:
        return Translation(values)
    return translated(values, others, {setting.name: setting.kind for setting in declared(options)}, convert)


Layer = tuple[str, Mapping[str, Any]]
"""An origin, and the values it stands for."""


def _layers(options: type, chosen: Mapping[str, Any]) -> tuple[Layer, ...]:
    """The layers below prep.toml and, last, the one above it that the values given choose."""
    found: tuple[Layer, ...] = getattr(options, "layers", lambda values: (("", {}),))(chosen)
    return found


def _of_section(section: str, settings: Settings) -> dict[str, Any]:
    """What a stage's section of prep.toml gives, over the presets it names."""
    entry = registry.stage(section)
    assert entry is not None
    options = entry.options()
    given = _translated(options, settings.stages.get(section, {})).values
    *below, _ = _layers(options, given)
    values: dict[str, Any] = {}
    for _, layer in below:
        values |= layer
    return {**values, **given}


# --- writing a prep.toml


def toml_text(settings: Settings) -> str:
    """The settings as a prep.toml; what `load_settings` reads back equal."""
    lines = ["[set]"] + ([f"path = {toml_value(settings.path)}"] if settings.path else [])
    lines += ["sources = [" + "".join(f"\n    {toml_value(source)}," for source in settings.sources) + "\n]"]
    for name, values in settings.stages.items():
        lines += ["", f"[{name}]"] + [f"{key} = {toml_value(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"
