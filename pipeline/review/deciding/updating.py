"""What the stages would decide otherwise now, as a person's decisions or the settings changed; and bringing that up to date."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.review.deciding.stages_now import run_now, stage_named, wanted_now
from pipeline.review.desk import Desk
from pipeline.review.server.answers import Document
from pipeline.store.manifest import Manifest
from pipeline.store.running.freshness import inputs, is_fresh
from pipeline.store.running.stage import Stage

QUICK = ("check", "bucket", "curate", "balance")
"""The stages that need no model."""


def _stages(manifest: Manifest) -> Iterator[Stage[Any]]:
    """Those that ran."""
    return (stage_named(name) for name in QUICK if manifest.last_run(name) is not None)


def _is_fresh(manifest: Manifest, found: Stage[Any]) -> bool:
    options = wanted_now(manifest.root, found).options
    return is_fresh(manifest, found, options, inputs(manifest, found, options))


def stale_now(desk: Desk, asked: Mapping[str, str]) -> Document:
    """The names of the stages that are to run again."""

    return {
        "stale": desk.read(lambda manifest: [each.name for each in _stages(manifest) if not _is_fresh(manifest, each)])
    }


def update(desk: Desk, sent: Document) -> Document:
    """Run what is to run again."""
    with desk.write() as manifest:
        ran = []
        for each in _stages(manifest):
            outcome = run_now(manifest, each)
            if not outcome.fresh:
                ran.append(f"{each.name}: {outcome.changed} decisions changed")
    return {"run": 0, "words": "; ".join(ran) or "everything is up to date"}
