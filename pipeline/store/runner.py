"""What a stage is, when it is fresh, and the one way a plan is applied.

A stage is a module with a docstring (the command's help), `NAME`, `READS` (what its result depends on: names that
`Manifest.digest` takes), `Options` and `plan(manifest, options) -> Plan`, which is pure. Where it needs them it has

- `observe(manifest, options) -> str`: a cheap look at the disk before freshness is judged; returns more to hash;
  `OBSERVES` says in a word or two what it looks at;
- `measure(manifest, options, progress)`: measurements the plan is made from: slow, resumable, stored by content, and
  done for a preview too;
- `missing(manifest, options) -> str`: why it must run although nothing it reads has changed, "" when it need not;
- `work(manifest, options, progress) -> counts`, or `Made`: what is made after the plan is recorded (scores, images, adapters):
  slow, resumable, never done for a preview; `MAKES` names what it changes of what `Manifest.digest` takes, and
  `files(options)` gives patterns of the files in the set that it makes or replaces, so that a run can be undone;
- `SLOW = True` where that work takes minutes or hours, so that the plan is shown before it;
- `BY_NAME = True` where its runs have names (`Options.name`), each of which is fresh or stale for itself;
- `USES`: distributions whose versions are recorded with a run.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import platform
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.core.errors import PrepError
from pipeline.core.flat import flat
from pipeline.core.links import link_file
from pipeline.store import undo_log
from pipeline.store.caption_files import CAME, WRITTEN, plain, take_in, write_captions
from pipeline.store.manifest import Manifest
from pipeline.store.records import THE_SET, Decision, Plan, Run

ProgressCallback = Callable[[str, int, int], None]
"""Called as progress(what, done, total)."""
OPTIONS = "options"
OBSERVED = "observed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What running a stage came to: `fresh` when nothing had to be done, else the plan and how many rows changed; `results`
    tell what its work made, `notes` are what it found worth a warning. `announced` says that the plan was shown before."""

    stage: str
    fresh: bool
    plan: Plan | None
    changed: int
    counts: Mapping[str, int]
    notes: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    announced: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """What the work of a stage came to: counts, what is worth a warning, and in words what there is now and where."""

    counts: Mapping[str, int]
    notes: tuple[str, ...] = ()
    results: tuple[str, ...] = ()


def inputs(manifest: Manifest, stage: ModuleType, options: Any) -> dict[str, str]:
    """Everything the stage's result depends on, by name, each as a hash."""
    parts = {OPTIONS: _hash(options_json(options)), OBSERVED: _hash(observed(manifest, stage, options))}
    return parts | {name: manifest.digest(name) for name in stage.READS}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def options_json(options: Any) -> str:
    return json.dumps(flat(options), sort_keys=True, default=str)


def last_run(manifest: Manifest, stage: ModuleType, options: Any) -> Run | None:
    """The newest run of a stage that was not undone; of a stage whose runs have names, the newest of that name."""
    return manifest.last_run(stage.NAME, options.name if getattr(stage, "BY_NAME", False) else None)


def is_fresh(manifest: Manifest, stage: ModuleType, options: Any, read: Mapping[str, str]) -> bool:
    """Whether the last run ended, read what it would read now, and left all it made where it was."""
    run = last_run(manifest, stage, options)
    return run is not None and bool(run.finished) and run.inputs == read and not missing(manifest, stage, options)


def missing(manifest: Manifest, stage: ModuleType, options: Any) -> str:
    return stage.missing(manifest, options) if hasattr(stage, "missing") else ""


def observed(manifest: Manifest, stage: ModuleType, options: Any) -> str:
    return stage.observe(manifest, options) if hasattr(stage, "observe") else ""


def run_stage(
    manifest: Manifest,
    stage: ModuleType,
    options: Any,
    progress: ProgressCallback,
    force: bool = False,
    origins: Mapping[str, str] | None = None,
    announce: Callable[[Plan], None] | None = None,
) -> Outcome:
    """Take in captions edited by hand, observe, skip if fresh, measure, plan, apply.

    Args:
        origins: where each option comes from, for the record.
        announce: is given the plan before the work of a slow stage begins.
    """
    take_in(manifest)
    read = inputs(manifest, stage, options)
    if not force and is_fresh(manifest, stage, options, read):
        run = last_run(manifest, stage, options)
        assert run is not None
        return Outcome(stage.NAME, True, None, 0, run.counts)
    if hasattr(stage, "measure"):
        stage.measure(manifest, options, progress)
    plan = stage.plan(manifest, options)
    announced = announce is not None and getattr(stage, "SLOW", False)
    if announce is not None and announced:
        announce(plan)
    work = functools.partial(stage.work, manifest, options, progress) if hasattr(stage, "work") else dict
    patterns = tuple(stage.files(options)) if hasattr(stage, "files") else ()
    _close_unfinished(manifest, stage, options)
    with manifest.transaction():
        run_id = manifest.begin_run(
            stage.NAME,
            json.loads(options_json(options)),
            read,
            versions(getattr(stage, "USES", ())),
            patterns,
            origins,
        )
        undo_log.announce(manifest, run_id, (link.path for link in plan.links))
    return replace(apply(manifest, plan, run_id, progress, work, patterns), announced=announced)


def preview_stage(manifest: Manifest, stage: ModuleType, options: Any, progress: ProgressCallback) -> Plan:
    """The plan, with nothing written but measurements and captions that a person edited."""
    take_in(manifest)
    observed(manifest, stage, options)
    if hasattr(stage, "measure"):
        stage.measure(manifest, options, progress)
    return stage.plan(manifest, options)


def versions(distributions: tuple[str, ...]) -> dict[str, str]:
    """The versions of prep, Python and the distributions named that are installed."""
    found = {"python": platform.python_version()}
    for name in ("lora-prep", *distributions):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _close_unfinished(manifest: Manifest, stage: ModuleType, options: Any) -> None:
    """Note which files a run that was killed made, before another one of its stage goes on."""
    run = last_run(manifest, stage, options)
    if run is not None and not run.finished:
        undo_log.close(manifest, run.id)


def apply(
    manifest: Manifest,
    plan: Plan,
    run: int,
    progress: ProgressCallback,
    work: Callable[[], Mapping[str, int] | Made] = dict,
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
            manifest.put_images((replace(image, link=made.get(image.path, image.link)) for image in plan.images), run)
        changed = manifest.put_decisions(run, plan.fields, plan.decisions)
        changed += manifest.put_rows(run, _came_along(plan.captions))
    write_captions(manifest, run)
    try:
        with undo_log.watching(manifest, run, patterns):
            found = work()
    except PrepError:
        if not manifest.did_something(run):
            with manifest.transaction():
                manifest.drop_run(run)
        raise
    made_by_work = found if isinstance(found, Made) else Made(found)
    counts |= made_by_work.counts
    with manifest.transaction():
        manifest.finish_run(run, counts)
    return Outcome(plan.stage, False, plan, changed, counts, made_by_work.notes, made_by_work.results)


def _came_along(captions: tuple[tuple[str, str], ...]) -> list[Decision]:
    """The decisions that captions which came with their images are taken in by."""
    return [
        row
        for path, text in captions
        for row in (
            Decision(path, "human", text, WRITTEN, CAME),
            Decision(path, "caption", plain(text), WRITTEN, CAME),
        )
    ]


def reasons(decisions: tuple[Decision, ...]) -> dict[str, int]:
    """How often each reason was given, most frequent first; what is decided for the set as a whole is not counted."""
    return dict(Counter(decision.reason for decision in decisions if decision.path != THE_SET).most_common())
