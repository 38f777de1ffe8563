"""Stages that decided something another way than they would now: said before it is read, and brought up to date."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.config.declared import declared
from pipeline.config.registry import STAGES
from pipeline.config.settings import Resolved, Settings, resolved
from pipeline.config.values import convert
from pipeline.core.errors import PrepError
from pipeline.store.manifest import Manifest
from pipeline.store.records import Run
from pipeline.store.running.freshness import OPTIONS, changed_inputs, changed_options, inputs
from pipeline.store.running.stage import Stage

DECIDING = ("flatten", "check", "bucket", "tag", "curate", "balance", "regularize")
"""The stages that others read, in their order."""
FLAG = "flag"
"""The origin of an option that was typed."""


@dataclass(frozen=True, slots=True)
class Stale:
    """A stage that would decide otherwise now: with what options, and why."""

    stage: Stage[Any]
    options: Resolved
    why: str


def options_now(stage: Stage[Any], run: Run, settings: Settings) -> Resolved:
    """The options that a stage would run with now: those typed for its last run stay, all others are those of prep.toml."""
    options: type = stage.options
    kinds = {setting.name: setting for setting in declared(options)}
    typed = {}
    for name, origin in run.origins.items():
        value = run.options.get(name)
        if origin == FLAG and name in kinds and value is not None:
            typed[name] = convert(value, kinds[name].kind)
    return resolved(stage.name, options, settings, typed)


def stale(manifest: Manifest, stage: Stage[Any], settings: Settings) -> Stale | None:
    """A stage that ran and would decide otherwise now; None for one that is up to date, never ran, or cannot be judged, as its
    sources or model are not there now."""
    run = manifest.last_run(stage.name)
    if run is None:
        return None
    try:
        wanted = options_now(stage, run, settings)
        now = inputs(manifest, stage, wanted.options)
    except PrepError:
        return None
    differ = changed_inputs(stage, wanted.options, run, now)
    if run.finished and not differ:
        gone = stage.missing(manifest, wanted.options)
        return Stale(stage, wanted, gone) if gone else None
    return Stale(stage, wanted, "; ".join(_why(stage, run, wanted, differ)) or "it was stopped before its end")


def _why(stage: Stage[Any], run: Run, wanted: Resolved, differ: Sequence[str]) -> Iterator[str]:
    if OPTIONS in differ:
        for name, (then, now) in changed_options(stage, wanted.options, run).items():
            yield f"{name} is {said_value(now)} now, it was {said_value(then)}"
    others = [name for name in differ if name != OPTIONS]
    if others:
        yield f"what it reads changed ({', '.join(others)})"


def said_value(value: Any) -> str:
    """A setting's value, one that was left out or is empty in a word."""
    return "not given" if value in (None, "", [], {}) else str(value)


def before(name: str) -> tuple[str, ...]:
    """The deciding stages that come before one, all of them for what is none."""
    names = [entry.name for entry in STAGES]
    place = names.index(name) if name in names else len(names)
    return tuple(each for each in names[:place] if each in DECIDING)
