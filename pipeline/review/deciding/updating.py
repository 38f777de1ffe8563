"""What the stages would decide otherwise now, as a person's decisions or the settings changed; and bringing that up to date."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.config.registry import stage
from pipeline.config.settings import Resolved, resolved, settings_of
from pipeline.review.desk import Desk
from pipeline.review.server.answers import Document
from pipeline.store.manifest import Manifest
from pipeline.store.running.freshness import inputs, is_fresh
from pipeline.store.running.runner import run_stage
from pipeline.store.running.stage import Stage

QUICK = ("check", "bucket", "curate", "balance")
"""The stages that need no model."""


def _stages(manifest: Manifest) -> Iterator[tuple[Stage[Any], Resolved]]:
    """Those that ran, with the options they would run with now."""
    settings = settings_of(manifest.root)
    for name in QUICK:
        entry = stage(name)
        assert entry is not None
        if manifest.last_run(name) is not None:
            found: Stage[Any] = importlib.import_module(entry.module).STAGE
            yield found, resolved(name, found.options, settings, {})


def stale_now(desk: Desk, asked: Mapping[str, str]) -> Document:
    """The names of the stages that are to run again."""

    def look(manifest: Manifest) -> list[str]:
        return [
            each.name
            for each, options in _stages(manifest)
            if not is_fresh(manifest, each, options.options, inputs(manifest, each, options.options))
        ]

    return {"stale": desk.read(look)}


def update(desk: Desk, sent: Document) -> Document:
    """Run what is to run again."""
    with desk.write() as manifest:
        ran = []
        for each, options in _stages(manifest):
            outcome = run_stage(manifest, each, options.options, lambda *_: None, origins=options.origins)
            if not outcome.fresh:
                ran.append(f"{each.name}: {outcome.changed} decisions changed")
    return {"run": 0, "words": "; ".join(ran) or "everything is up to date"}
