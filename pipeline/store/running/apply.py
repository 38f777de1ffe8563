"""The one way a plan is applied."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.core.errors import PrepError
from pipeline.core.links import link_file
from pipeline.store.caption_files import manual_caption, write_captions
from pipeline.store.failures import CannotUse
from pipeline.store.history import undo_log
from pipeline.store.image_files import stamps_of
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.captions import Origin
from pipeline.store.records import THE_SET, Decision, Plan
from pipeline.store.running.stage import ProgressCallback, WorkResult


@dataclass(frozen=True, slots=True)
class Outcome:
    """What running a stage came to: `fresh` when nothing had to be done, else the plan and how many decisions changed; `results`
    tell what its work made, `warnings` are what it found worth a warning. `announced` says that the plan was shown before."""

    stage: str
    fresh: bool
    plan: Plan | None
    changed: int
    counts: Mapping[str, int]
    warnings: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    plan_shown: bool = False


def apply(
    manifest: Manifest,
    plan: Plan,
    run: int,
    progress: ProgressCallback,
    work: Callable[[], WorkResult] = WorkResult,
    patterns: tuple[str, ...] = (),
) -> Outcome:
    """Carry out a plan: files in first, then every row in one transaction, then captions out, then the work.

    Killed anywhere, the run stays unfinished and the next one does the same again: linking and writing are
    idempotent, and a caption is decided before it is written, so it is never taken for a person's. A run that was refused
    before it changed anything leaves no trace.
    """
    made: dict[str, str] = {}
    cannot: dict[str, set[str]] = {}
    for done, link in enumerate(plan.links, 1):
        undo_log.save(manifest.root, run, link.path)
        made[link.path] = link_file(
            link.source, manifest.root / link.path, link.how, cannot.setdefault(str(Path(link.source).parent), set())
        )
        if done % 100 == 0 or done == len(plan.links):
            progress("linking", done, len(plan.links))
    counts = {**reasons(plan.decisions), **plan.counts}
    with manifest.transaction():
        if plan.images is not None:
            images = {image.path: replace(image, link=made.get(image.path, image.link)) for image in plan.images}
            manifest.put_images(images.values(), run)
            manifest.put_files(stamps_of(manifest.root, images, iter(made)))
        changed = manifest.put_decisions(run, plan.fields, plan.decisions)
        changed += manifest.put_rows(run, _came_along(plan.captions))
    write_captions(manifest, run)
    try:
        with undo_log.watching(manifest, run, patterns):
            worked = work()
    except PrepError:
        if not manifest.did_something(run):
            with contextlib.suppress(CannotUse), manifest.transaction():
                manifest.drop_run(run)
        raise
    counts |= worked.counts
    with manifest.transaction():
        manifest.finish_run(run, counts)
    return Outcome(plan.stage, False, plan, changed, counts, worked.warnings, worked.results)


def _came_along(captions: tuple[tuple[str, str], ...]) -> list[Decision]:
    """The decisions that captions which came with their images are imported by."""
    origin = {"origin": Origin.CAME_WITH_IMAGE}
    return [row for path, text in captions for row in manual_caption(path, text, origin)]


def reasons(decisions: tuple[Decision, ...]) -> dict[str, int]:
    """How often each reason was given, most frequent first; what is decided for the set as a whole is not counted."""
    return dict(Counter(decision.reason.value for decision in decisions if decision.path != THE_SET).most_common())
