"""When a stage is up to date: its newest run ended, read what it would read now, and left all it made where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pipeline.core.flat import flat
from pipeline.store.manifest import Manifest
from pipeline.store.records import Run
from pipeline.store.running.stage import OptionsT, Stage

OPTIONS = "options"
OBSERVED = "observed"
NOTHING = hashlib.sha256().hexdigest()
"""The digest of a field that no image has."""


def inputs(manifest: Manifest, stage: Stage[OptionsT], options: OptionsT) -> dict[str, str]:
    """Everything the stage's result depends on, by name, each as a hash."""
    parts = {OPTIONS: _hash(options_json(options)), OBSERVED: _hash(stage.observe(manifest, options))}
    chosen = {name: manifest.digest(name) for name in stage.choices}
    there = {name: found for name, found in chosen.items() if found != NOTHING}
    return parts | {name: manifest.digest(name) for name in stage.reads} | there


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def options_json(options: Any) -> str:
    """The options of a stage, a dataclass, as one text in which equal options are equal."""
    return json.dumps(flat(options), sort_keys=True, default=str)


def last_run(manifest: Manifest, stage: Stage[OptionsT], options: OptionsT) -> Run | None:
    """The newest run of a stage that was not undone; of a stage whose runs have names, the newest of that name."""
    return manifest.last_run(stage.name, stage.run_name(options) if stage.run_name else None)


def changed_options(stage: Stage[OptionsT], options: OptionsT, run: Run) -> dict[str, tuple[Any, Any]]:
    """Option → what it was in a run and is now, as JSON has them, of those that differ.

    A run that is older than an option counts as one that left it at its default, so that a set does not become stale with a new
    version; where a new default decides otherwise than before, the migration of sets says so.
    """
    now, default = (json.loads(options_json(each)) for each in (options, stage.options()))
    then = {**default, **run.options}
    return {name: (then.get(name), now.get(name)) for name in then if then.get(name) != now.get(name)}


def changed_inputs(stage: Stage[OptionsT], options: OptionsT, run: Run, read: Mapping[str, str]) -> list[str]:
    """The inputs that differ from those of a run, by name; `read` is what `inputs` gives now."""
    differ = [name for name in dict.fromkeys((*read, *run.inputs)) if read.get(name) != run.inputs.get(name)]
    if OPTIONS in differ and not changed_options(stage, options, run):
        differ.remove(OPTIONS)
    return differ


def is_fresh(manifest: Manifest, stage: Stage[OptionsT], options: OptionsT, read: Mapping[str, str]) -> bool:
    """Whether the newest run holds; `read` is what `inputs` gives now."""
    run = last_run(manifest, stage, options)
    if run is None or not run.finished or changed_inputs(stage, options, run, read):
        return False
    return not stage.missing(manifest, options)
