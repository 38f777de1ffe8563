"""What a stage is, when it is fresh, and the one way a plan is applied.

A stage is a module with a docstring (the command's help), `NAME`, `READS` (what its result depends on: names that
`Manifest.digest` takes), `Options` and `plan(manifest, options) -> Plan`, which is pure. Where it needs them it has

- `observe(manifest, options) -> str`: a cheap look at the disk before freshness is judged; returns more to hash;
- `measure(manifest, options, progress)`: measurements the plan is made from: slow, resumable, stored by content, and
  done for a preview too;
- `missing(manifest, options) -> str`: why it must run although nothing it reads has changed, "" when it need not;
- `work(manifest, options, progress) -> counts`: what is made after the plan is recorded (scores, pictures, adapters):
  slow, resumable, never done for a preview; `MAKES` names what it changes of what `Manifest.digest` takes.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from types import ModuleType
from typing import Any

from pipeline.files import link_file, write_text
from pipeline.manifest import Manifest
from pipeline.records import Decision, Plan

Progress = Callable[[str, int, int], None]
"""Called as progress(what, done, total)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What running a stage came to: `fresh` when nothing had to be done, else the plan and how many rows changed."""

    stage: str
    fresh: bool
    plan: Plan | None
    changed: int
    counts: Mapping[str, int]


def input_digest(manifest: Manifest, stage: ModuleType, options: Any) -> str:
    """Hash everything the stage's result depends on."""
    parts = [stage.NAME, options_json(options), observed(manifest, stage, options)]
    parts += [manifest.digest(name) for name in stage.READS]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def options_json(options: Any) -> str:
    return json.dumps(asdict(options), sort_keys=True, default=str)


def is_fresh(manifest: Manifest, stage: ModuleType, options: Any, digest: str) -> bool:
    """Whether the last run ended, read what it would read now, and left all it made where it was."""
    run = manifest.last_run(stage.NAME)
    return run is not None and bool(run.finished) and run.digest == digest and not missing(manifest, stage, options)


def missing(manifest: Manifest, stage: ModuleType, options: Any) -> str:
    return stage.missing(manifest, options) if hasattr(stage, "missing") else ""


def observed(manifest: Manifest, stage: ModuleType, options: Any) -> str:
    return stage.observe(manifest, options) if hasattr(stage, "observe") else ""


def run_stage(manifest: Manifest, stage: ModuleType, options: Any, progress: Progress, force: bool = False) -> Outcome:
    """Observe, skip if fresh, measure, plan, apply."""
    digest = input_digest(manifest, stage, options)
    if not force and is_fresh(manifest, stage, options, digest):
        run = manifest.last_run(stage.NAME)
        assert run is not None
        return Outcome(stage.NAME, True, None, 0, run.counts)
    if hasattr(stage, "measure"):
        stage.measure(manifest, options, progress)
    plan = stage.plan(manifest, options)
    work = functools.partial(stage.work, manifest, options, progress) if hasattr(stage, "work") else dict
    return apply(manifest, plan, json.loads(options_json(options)), digest, progress, work)


def preview_stage(manifest: Manifest, stage: ModuleType, options: Any, progress: Progress) -> Plan:
    """The plan, with nothing but measurements written."""
    observed(manifest, stage, options)
    if hasattr(stage, "measure"):
        stage.measure(manifest, options, progress)
    return stage.plan(manifest, options)


def apply(
    manifest: Manifest,
    plan: Plan,
    options: Mapping[str, Any],
    digest: str,
    progress: Progress,
    work: Callable[[], Mapping[str, int]] = dict,
) -> Outcome:
    """Carry out a plan: files in first, then every row in one transaction, then captions out, then the work.

    Killed anywhere, the run stays unfinished and the next one does the same again: linking and writing are
    idempotent, and an intended caption is recorded before it is written, so it is never taken for a person's.
    """
    made = {}
    for done, link in enumerate(plan.links, 1):
        made[link.path] = link_file(link.source, manifest.root / link.path)
        progress("linking", done, len(plan.links))
    for path, text in plan.captions:
        write_text((manifest.root / path).with_suffix(".txt"), text + "\n")
    counts = {**reasons(plan.decisions), **plan.counts}
    with manifest.transaction():
        run = manifest.begin_run(plan.stage, options, digest)
        if plan.images is not None:
            manifest.put_images(replace(image, link=made.get(image.path, image.link)) for image in plan.images)
        for path, text in plan.captions:
            manifest.put_human_caption(path, text)
        changed = manifest.put_decisions(run, plan.fields, plan.decisions)
        for decision in plan.decisions:
            if decision.field == "caption":
                manifest.intend_caption(decision.path, decision.value)
    write_captions(manifest)
    counts |= work()
    with manifest.transaction():
        manifest.finish_run(run, counts)
    return Outcome(plan.stage, False, plan, changed, counts)


def write_captions(manifest: Manifest) -> None:
    """Put every intended caption that is not on disk yet beside its picture."""
    pending = [
        (path, intended)
        for path, (intended, written, human) in manifest.captions().items()
        if intended is not None and human is None and intended != written
    ]
    for path, text in pending:
        write_text((manifest.root / path).with_suffix(".txt"), text + "\n")
    with manifest.transaction():
        for path, text in pending:
            manifest.caption_written(path, text)


def reasons(decisions: tuple[Decision, ...]) -> dict[str, int]:
    """How often each reason was given, most frequent first."""
    return dict(Counter(decision.reason for decision in decisions).most_common())
