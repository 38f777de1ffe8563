"""The settings of a run with where each comes from, and what else run.json tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.report.run.facts import part


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class SettingsView:
    """`about` are titles with the names and values below them."""

    chosen: tuple[Setting, ...]
    defaults: tuple[Setting, ...]
    about: tuple[tuple[str, Mapping[str, Any]], ...]


def settings_view(about: Mapping[str, Any]) -> SettingsView | None:
    """What run.json tells, None without one."""
    if not about:
        return None
    given = part(about, "settings")
    settings = [
        Setting(name, each.get("value"), str(each.get("origin", "")))
        for name, each in ((name, part(given, name)) for name in given)
    ]
    groups = {
        "Base model": part(about, "base"),
        "Set": {name: value for name, value in part(about, "set").items() if name != "held out"},
        "Seeds": part(about, "seeds"),
        "Versions": part(about, "versions"),
        "Result": {"started": about.get("started", "")} | dict(part(about, "result")),
    }
    return SettingsView(
        tuple(each for each in settings if each.origin != "default"),
        tuple(each for each in settings if each.origin == "default"),
        tuple((title, values) for title, values in groups.items() if values),
    )
