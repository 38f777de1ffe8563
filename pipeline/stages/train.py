"""Train an adapter on the set, with the buckets, repeats, captions and regularization images of the stages before."""

from __future__ import annotations

import contextlib
import glob
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.errors import PrepError
from pipeline.store.history.undo_log import stamp
from pipeline.store.manifest import Manifest
from pipeline.store.records import Plan
from pipeline.store.running.stage import ProgressCallback, Stage, WorkResult
from train.models.identity import base_identity
from train.options.recipe import Recipe as Options
from train.plan.base_shapes import shapes_of
from train.plan.planned import PlannedRun, planned_run
from train.plan.summary import counts, footprint, milestone_info, preset_info, schedule_info, subset_info, table
from train.plan.truncated_tags import caption_notes, truncated_tags
from train.plan.warnings import exposure_notes, few_updates_info, readiness_notes, settings_notes, text_rate_notes

if TYPE_CHECKING:
    from train.plan.steps import TrainingSchedule

NAME = "train"


def observe(manifest: Manifest, options: Options) -> str:
    regularized = manifest.last_run("regularize")
    model = options.model
    identity = base_identity(manifest, model.base, model.revision, model.vae)
    return f"{identity} {regularized.digest if regularized else ''}"


def measure(manifest: Manifest, options: Options, progress: ProgressCallback) -> None:
    """Hash regularization images that are new or changed."""
    from train.data.regularization import hash_reg_images

    if options.dataset.regularized:
        hash_reg_images(manifest, progress)


def plan(manifest: Manifest, options: Options) -> Plan:
    """What training comes to: steps, exposures, disk and memory, and which tags the text encoder does not see."""
    from train.data.augmentation import warnings as augmentation_warnings
    from train.data.dataset import views_to_cache
    from train.optimization.optimizers import refuse_missing
    from train.plan.base_schedule import noise_notes, said_of_noise
    from train.plan.fit import decide, too_large
    from train.plan.latents import planned_latents
    from train.plan.space import full_disk_notes, planned_space, space_words

    refuse_missing(options.optimizer.optimizer)
    run = planned_run(manifest, options)
    _refuse_foreign_separator(manifest, run, options)
    updates = run.windows(options).all_updates
    _refuse_what_never_comes(run.schedule, updates, options)
    base, unknown = shapes_of(options.model)
    beside = bool(run.reg_image_files)
    decided = decide(options, base, (view.size for view in views_to_cache(run.split.every())), beside)
    latents = planned_latents(manifest.root, run.split, decided.recipe, base)
    written = planned_space(run, latents, decided.recipe, base)
    truncated, uncounted = truncated_tags(run, options)
    return Plan(
        NAME,
        ("truncated_tags",),
        truncated,
        counts=counts(run),
        info=(
            *options.translated,
            *preset_info(options),
            *schedule_info(run, options),
            *milestone_info(run, options),
            *subset_info(run, options),
            *run.split.info,
            *augmentation_warnings(run.dataset.seen, options.augmentation),
            *footprint(run, latents, decided, base, unknown),
            space_words(manifest.root, written),
            *uncounted,
            *few_updates_info(updates),
        ),
        warnings=(
            *readiness_notes(run),
            *full_disk_notes(manifest.root, written),
            *_made_without(manifest, options),
            *_replaced(manifest, run, options),
            *exposure_notes(manifest.root, run, options),
            *settings_notes(options, base),
            *noise_notes(options, said_of_noise(options.model)),
            *too_large(decided.fit, decided.machine),
            *text_rate_notes(options, base),
            *caption_notes(run, truncated, options),
        ),
        table=table(run),
    )


def _made_without(manifest: Manifest, options: Options) -> Iterator[str]:
    """What the note of a preset sets of the stages before training, where the set was made otherwise and nobody chose so."""
    from train.options.presets import load_preset

    if options.run.preset is None:
        return
    for stage, values in load_preset(options.run.preset).stages.items():
        run = manifest.last_run(stage)
        options_then, origins = (run.options, run.origins) if run else ({}, {})
        other = {
            name: value
            for name, value in values.items()
            if options_then.get(name) != value and origins.get(name, "default") == "default"
        }
        if other:
            named = ", ".join(f"{name} = {value}" for name, value in other.items())
            flags = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in other.items())
            yield (
                f"the note of preset {options.run.preset} sets {named} of {stage}, with which the set was not made; to follow "
                f"it: prep {stage} {manifest.root} {flags}"
            )


def _replaced(manifest: Manifest, planned: PlannedRun, options: Options) -> Iterator[str]:
    """That there is an adapter of that name, which other settings or another set made, or that it is gone on from."""
    from train.extending import extension
    from train.run.run_record import adapter_file, run_folder

    run = manifest.last_run(NAME, options.run.name)
    file = adapter_file(manifest.root, options.run.name)
    longer = extension(run_folder(manifest.root, options.run.name), options, planned.schedule.steps)
    if longer is not None and not longer.why_not:
        yield f"the run {options.run.name} of {longer.steps} steps goes on to {planned.schedule.steps}, if its images are as then"
    elif run is not None and run.finished and file.is_file():
        if longer is not None:
            yield f"the run {options.run.name} of {longer.steps} steps cannot go on and begins anew: {longer.why_not}"
        yield (
            f"{file} of run {run.id} is there; what is trained now takes its place, and prep undo brings it back: "
            "to keep both, give another --name"
        )


# --- refusals


def _refuse_foreign_separator(manifest: Manifest, run: PlannedRun, options: Options) -> None:
    """Curation's separator would be read as a tag if training looked for another one."""
    curated = manifest.last_run("curate")
    mark = curated.options.get("keep_separator", "") if curated else ""
    if mark and mark != options.captions.keep_separator and any(mark in example.caption for example in run.training):
        raise PrepError(
            f"captions hold {mark!r}, the keep_separator of curation, but training looks for {options.captions.keep_separator!r}",
            f'set keep_separator = "{mark}" in [train], or give --keep-separator "{mark}"',
        )


def _refuse_what_never_comes(schedule: TrainingSchedule, updates: int, options: Options) -> None:
    """What the options ask for later than the run lasts."""
    never = list(options.schedule.never_reached(options.scheduler, updates))
    if never:
        raise PrepError("\n".join(f"train: {what}" for what, _ in never), "\n".join(hint for _, hint in never))
    if options.captions.tag_warmup_steps >= schedule.steps:
        raise PrepError(
            f"train: tag_warmup_steps is {options.captions.tag_warmup_steps}, but the run has {schedule.steps} steps: the last "
            "tags would never be shown",
            "give fewer, or a share of the run such as tag_warmup_share = 0.3",
        )
    if options.captions.caption_dropout_epochs > schedule.epochs + (schedule.beyond > 0):
        raise PrepError(
            f"train: caption_dropout_epochs is {options.captions.caption_dropout_epochs}, but the run ends in epoch "
            f"{schedule.epochs + (schedule.beyond > 0)}",
            "give a smaller number, or more steps",
        )


# --- the run


def files(options: Options) -> tuple[str, ...]:
    """The adapter, its snapshots and what they were made by; its training state, log and sample images are no results."""
    folder = f"runs/{glob.escape(options.run.name)}"
    return (
        f"{folder}/{glob.escape(options.run.name)}*.safetensors",
        f"{folder}/merged-{glob.escape(options.run.name)}*",
        f"{folder}/merged-{glob.escape(options.run.name)}/**/*",
        *(f"{folder}/{name}" for name in ("recipe.json", "run.json", "set.json", "images.csv", "report.html")),
    )


def missing(manifest: Manifest, options: Options) -> str:
    """The adapter, if it is gone."""
    from train.run.run_record import adapter_file

    file = adapter_file(manifest.root, options.run.name)
    return "" if file.is_file() else f"{file} is not there"


def work(manifest: Manifest, options: Options, progress: ProgressCallback) -> WorkResult:
    from pipeline.report.run.page import write_run_page
    from train.run.run_record import RUN, run_folder
    from train.session import train_adapter

    run = manifest.last_run(NAME)
    assert run is not None and not run.finished, "the run is open while its work is done"
    folder = run_folder(manifest.root, options.run.name)
    before = stamp(folder / RUN)
    try:
        trained = train_adapter(manifest, options, progress, origins=run.origins, versions=run.versions)
    except BaseException:
        if stamp(folder / RUN) != before:
            with contextlib.suppress(PrepError, OSError):  # what ended the run is what a person must read
                write_run_page(folder)
        raise
    write_run_page(folder)
    counts = {"steps": trained.steps, "resumed_steps": trained.resumed_from}
    results = (*trained.compared, *_results(folder, options.run.name, trained.resumed_from))
    return WorkResult(counts, trained.warnings, results)


def _results(folder: Path, name: str, resumed_from: int) -> Iterator[str]:
    """What a person asks when a run has ended: where the adapter is, how good it is, and where to read on."""
    from pipeline.core.humanize import counted, duration
    from train.evaluation.validation_history import FILE, read_evaluations
    from train.run.run_record import RUN, read_run

    result = read_run(folder / RUN)["result"]
    begun = f" from step {resumed_from} on" if resumed_from else ""
    ended = "" if result["ended"] == "as planned" else f", ended early: {result['ended']}"
    yield f"trained {counted(result['steps'], 'step')}{begun} in {duration(result['seconds'])}{ended}"
    yield f"adapter: {folder / f'{name}.safetensors'}"
    looks = list(read_evaluations(folder / FILE))
    if looks:
        best = min(looks, key=lambda look: look.loss)
        words = f"validation loss: {looks[0].loss:.4g} at step {looks[0].step}, {looks[-1].loss:.4g} at the end"
        words += f", lowest {best.loss:.4g} at step {best.step}"
        yield words + (f": take {result['best']}" if result["best"] else "")
    yield f"all about it: {folder / 'report.html'}"


STAGE = Stage(
    name=NAME,
    help=__doc__,
    options=Options,
    reads=("images", "keep", "bucket", "caption", "repeats", "regularization"),
    plan=plan,
    observe=observe,
    observes="base model or regularization images",
    measure=measure,
    missing=missing,
    work=work,
    files=files,
    uses=("torch", "diffusers", "transformers", "lycoris-lora"),
    slow=True,
    run_name=lambda options: options.run.name,
)
