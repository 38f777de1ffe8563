"""A stage by its name, the options that it would run with now, and settings kept for it, by which it runs at once."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config.keeping import keep_settings
from pipeline.config.registry import stage
from pipeline.config.settings import Resolved, resolved, settings_of
from pipeline.store.manifest import Manifest
from pipeline.store.running.apply import Outcome
from pipeline.store.running.runner import run_stage
from pipeline.store.running.stage import Stage


def stage_named(name: str) -> Stage[Any]:
    """The stage of a name that is one."""
    entry = stage(name)
    assert entry is not None, name
    found: Stage[Any] = importlib.import_module(entry.module).STAGE
    return found


def wanted_now(root: Path, found: Stage[Any]) -> Resolved:
    """The options of a stage as the set's prep.toml has them."""
    return resolved(found.name, found.options, settings_of(root), {})


def run_now(manifest: Manifest, found: Stage[Any]) -> Outcome:
    """Run a stage with them, if it is not up to date."""
    wanted = wanted_now(manifest.root, found)
    return run_stage(manifest, found, wanted.options, lambda *_: None, origins=wanted.origins)


def keep_and_run(manifest: Manifest, found: Stage[Any], values: Mapping[str, Any]) -> Outcome:
    """Write settings of a stage into prep.toml, where there are any, and run it by them."""
    if values:
        keep_settings(manifest.root, found.name, values)
    return run_now(manifest, found)
