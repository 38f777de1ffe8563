"""The one way a stage runs: skipped while it is up to date, else measured, planned, applied, and its work done."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import replace

from pipeline.store.edits import take_in
from pipeline.store.history import undo_log
from pipeline.store.manifest import Manifest
from pipeline.store.records import Plan
from pipeline.store.running.apply import Outcome, apply
from pipeline.store.running.freshness import inputs, is_fresh, last_run, options_json
from pipeline.store.running.stage import OptionsT, ProgressCallback, Stage, WorkResult
from pipeline.store.running.versions import versions


def run_stage(
    manifest: Manifest,
    stage: Stage[OptionsT],
    options: OptionsT,
    progress: ProgressCallback,
    force: bool = False,
    origins: Mapping[str, str] | None = None,
    show_plan: Callable[[Plan], None] | None = None,
) -> Outcome:
    """Take in captions edited by hand, observe, skip if up to date, measure, plan, apply.

    Args:
        origins: where each option comes from, for the record.
        show_plan: is given the plan before the work of a slow stage begins.
    """
    edited = take_in(manifest)
    read = inputs(manifest, stage, options)
    if not force and is_fresh(manifest, stage, options, read):
        run = last_run(manifest, stage, options)
        assert run is not None
        return Outcome(stage.name, True, None, 0, run.counts, edited)
    stage.measure(manifest, options, progress)
    plan = stage.plan(manifest, options)
    plan_shown = show_plan is not None and stage.slow
    if show_plan is not None and plan_shown:
        show_plan(plan)
    work = functools.partial(stage.work, manifest, options, progress) if stage.work else WorkResult
    patterns = stage.files(options)
    _close_unfinished(manifest, stage, options)
    with manifest.transaction():
        run_id = manifest.begin_run(
            stage.name,
            json.loads(options_json(options)),
            read,
            versions(stage.uses),
            patterns,
            origins,
        )
        undo_log.begin(manifest, run_id, (link.path for link in plan.links))
    done = apply(manifest, plan, run_id, progress, work, patterns)
    return replace(done, plan_shown=plan_shown, warnings=(*edited, *done.warnings))


def preview_stage(manifest: Manifest, stage: Stage[OptionsT], options: OptionsT, progress: ProgressCallback) -> Plan:
    """The plan, with nothing written but measurements and captions that a person edited."""
    edited = take_in(manifest)
    stage.observe(manifest, options)
    stage.measure(manifest, options, progress)
    plan = stage.plan(manifest, options)
    return replace(plan, warnings=(*edited, *plan.warnings))


def _close_unfinished(manifest: Manifest, stage: Stage[OptionsT], options: OptionsT) -> None:
    """Note which files a run that was killed made, before another one of its stage goes on."""
    run = last_run(manifest, stage, options)
    if run is not None and not run.finished:
        undo_log.finalize(manifest, run.id)
