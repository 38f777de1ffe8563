"""One training run and what is made with it: from the open manifest to files in SET/runs/NAME."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pipeline.core.disk_space import refuse_full, size_of
from pipeline.core.errors import PrepError
from pipeline.core.files import write_text
from pipeline.core.humanize import counted
from pipeline.core.seeded import key_seed
from pipeline.store.manifest import Manifest
from train.adapters.adapter import Adapter, read_adapter
from train.adapters.detect import check_same
from train.adapters.export import merged_path, write_merged
from train.data.accumulation import update_windows
from train.data.batches import progress_after, total_steps
from train.data.dataset import repeats_by_concept, tag_frequency, views_to_cache
from train.data.latent_cache import LatentCache
from train.data.progress import Progress
from train.device import device_name, out_of_memory
from train.distributed.launch import in_processes, process_device, shared_device
from train.distributed.world import ALONE, World
from train.evaluation.samples import Generation, SampleCallback
from train.evaluation.validation import Evaluator, Validation, conditioner, even_grid
from train.evaluation.validation_history import ValidationHistory
from train.extending import LENGTH, extend, extension
from train.job import Job, decided_job, planned_job
from train.loop import Trainer
from train.models.base import BaseModel
from train.models.finite import refuse_not_finite
from train.models.load import base_of
from train.models.precision import DTYPES, keeping_of
from train.models.sampling.noise_schedule import training_alphas_cumprod
from train.models.text.text_encoding import text_conditioning
from train.optimization.optimizers import described
from train.optimization.options import noise_conflicts, schedule_notes
from train.optimization.precision import vae_dtype
from train.options.recipe import Recipe, recipe_values, trained_config
from train.plan.fit import memory_is_full
from train.plan.space import space_needed
from train.published import adapter_metadata
from train.run.adapter_metadata import TrainedFacts
from train.run.callbacks import RunCallbacks
from train.run.resume_state import StateFile
from train.run.run_folder import close_folder, compared, open_folder, refuse_lost
from train.run.run_record import STATE, RunStart, adapter_file, images_of, note_adapter
from train.run.snapshots import Snapshot
from train.run.step_log import RunLog
from train.run.tensorboard import TensorBoard

ProgressCallback = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Trained:
    """What a finished run left: the adapter file, its steps, the step it resumed from, warnings, and how it
    compares with the run that it does again."""

    file: Path
    steps: int
    resumed_from: int
    warnings: tuple[str, ...]
    compared: tuple[str, ...] = ()


def train_adapter(
    manifest: Manifest,
    recipe: Recipe,
    progress: ProgressCallback,
    base: BaseModel | None = None,
    origins: Mapping[str, str] | None = None,
    versions: Mapping[str, str] | None = None,
) -> Trained:
    """Cache latents, train (or resume an interrupted run), save the adapter with its metadata.

    A `base` that is given is left with its frozen weights in the recipe's precision.
    """
    job = decided_job(planned_job(manifest, recipe, origins or {}, versions or {}))
    if recipe.run.processes == 1:
        return carry_out(job, ALONE, progress, base)
    device = shared_device(recipe.run.device, recipe.run.processes)
    found = in_processes(carry_out, job, recipe.run.processes, device, progress)
    assert isinstance(found, Trained)
    return found


def carry_out(job: Job, world: World, progress: ProgressCallback, base: BaseModel | None = None) -> Trained:
    """One process's part of a run, which with one process is all of it."""
    recipe, begun = job.recipe, time.monotonic()
    device = process_device(shared_device(recipe.run.device, world.world_size), world)
    base = base or base_of(recipe.model, device, keeping_of(recipe.precision))
    digest = job.state_digest(base.digest)
    latents = LatentCache(
        job.root / "cache" / "latents", base, vae_dtype(recipe.precision, base.device), writes=world.is_main_process
    )
    adapter = new_adapter(recipe, base)
    refuse_unfit(recipe, base)
    if world.is_main_process:
        _extend(job, base.digest, digest)
    world.wait()
    refuse_lost(job.folder, recipe.run.name, digest, merged_file(job, base))
    needed = latents.needed(views_to_cache(job.split.every()))
    refuse_full(job.root, needed_bytes(job, base, adapter, latents.missing_bytes(needed)), "the run")
    if world.is_main_process:  # it encodes what is missing while the others wait
        latents.encode(needed, progress)
    world.wait()
    opened = open_folder(job.folder, run_start(job, base), digest, world, recipe.run.replay)
    if world.is_main_process:
        note_adapter(job.folder, [str(figures) for figures in adapter.describe()])
    board = (
        TensorBoard(job.folder / "tensorboard", opened.start)
        if recipe.run.tensorboard and world.is_main_process
        else None
    )
    adapter.attach()
    try:
        state_file = job.folder / STATE
        log = RunLog(job.folder / "log.jsonl", state_file, world, board.add if board else None)
        trainer = Trainer(recipe, base, adapter, latents, StateFile(state_file, digest), job.arguments, log)
        callbacks = run_callbacks(job, trainer, opened.snapshots, progress, board)
        started, now = trainer.run(job.training, callbacks, progress)
    except Exception as error:
        if not out_of_memory(error):
            raise
        sizes = (view.size for view in views_to_cache(job.split.every()))
        beside = any(example.reg_images for example in job.training)
        raise memory_is_full(recipe, sizes, beside, f"after {counted(trainer.done, 'step')}") from error
    finally:
        adapter.detach()
        if board:
            board.close()
    file = adapter_file(job.root, recipe.run.name)
    how = list[str]()
    if world.is_main_process:
        merged = write_merged(base.folder, file) if recipe.saving.save_checkpoint else None
        close_folder(job.folder, job.training, callbacks, now, time.monotonic() - begun, merged)
        write_text(job.folder / "recipe.json", json.dumps(recipe_values(recipe), indent=2, ensure_ascii=False) + "\n")
        how += [compared(recipe.run.replay, file)] if recipe.run.replay else []
    schedule = schedule_notes(recipe.objective, recipe.noise, base.prediction, base.zero_terminal_snr)
    warnings = (*base.warnings, *schedule, *opened.warnings, *callbacks.warnings, *latents.warnings())
    return Trained(file, now.step, started, warnings, (*opened.differences, *how))


def _extend(job: Job, base: str, digest: str) -> None:
    """Go on from a finished run of this name that differs in its length alone."""
    total = total_steps(job.recipe.batches, job.recipe.run.seed, job.training)
    found = extension(job.folder, job.recipe, total)
    if found is not None:
        extend(job.folder, found, job.state_digest(base, {name: found.before[name] for name in LENGTH}), digest)


def needed_bytes(job: Job, base: BaseModel, adapter: Adapter, latents: int) -> int:
    """What the run will write at the most: `latents` bytes of those that are not cached, adapter, snapshots, state and
    merged model."""
    batches, seed = job.recipe.batches, job.recipe.run.seed
    steps = total_steps(batches, seed, job.training)
    epochs = progress_after(batches, seed, job.training, steps, last=True).epoch
    trained = sum(weight.numel() for weight in adapter.parameters())
    merged = size_of(base.folder) if job.recipe.saving.save_checkpoint else 0
    return space_needed(job.recipe, trained, steps, epochs) + latents + merged


def merged_file(job: Job, base: BaseModel) -> Path | None:
    """Where the base model with the adapter merged in will be written, None if it is not asked for."""
    if not job.recipe.saving.save_checkpoint:
        return None
    return merged_path(adapter_file(job.root, job.recipe.run.name), base.folder)


def run_start(job: Job, base: BaseModel) -> RunStart:
    """What run.json says of the run at its start."""
    return RunStart(
        settings=recipe_values(job.recipe),
        origins=job.origins,
        versions=job.versions,
        base={"name": base.name, "revision": job.recipe.model.revision, "digest": base.digest},
        device=device_name(base.device),
        steps=total_steps(job.recipe.batches, job.recipe.run.seed, job.training),
        images=images_of(tuple(job.split.every())),
        digest=job.digest,
        held_out=[example.entry.key for example in job.held_out],
        info=job.split.info,
    )


def refuse_unfit(recipe: Recipe, base: BaseModel) -> None:
    """See, before anything is written, that the recipe can be carried out with the base model.

    Raises:
        PrepError: its text encoder has fewer layers than are to be skipped, or it predicts what the schedule asked for
            cannot be used with; a tensor of it is not finite; or the noise is strengthened on a schedule of zero-terminal
            SNR.
    """
    training_alphas_cumprod(base.alphas_cumprod, base.prediction, recipe.noise.zero_terminal_snr)
    refuse_not_finite(base)
    found = noise_conflicts(recipe.noise, base.zero_terminal_with(recipe.noise.zero_terminal_snr))
    if found:
        raise PrepError("\n".join(f"train: {what}" for what, _ in found), "\n".join(hint for _, hint in found))
    with torch.no_grad():
        text_conditioning(base, [""], recipe.text.clip_skip, recipe.text.max_tokens)


def run_callbacks(
    job: Job, trainer: Trainer, snapshots: list[Snapshot], progress: ProgressCallback, board: TensorBoard | None
) -> RunCallbacks:
    """What is done beside the steps, as the recipe asks for it."""
    base, adapter, world = trainer.base, trainer.adapter, trainer.world
    recipe, batches, seed = job.recipe, job.recipe.batches, job.recipe.run.seed
    steps = total_steps(batches, seed, job.training)
    planned = progress_after(batches, seed, job.training, steps, last=True)
    validation = None
    if job.held_out or job.split.train_subset:
        measuring = recipe.validation
        grid = even_grid(
            measuring.validation_times, measuring.validation_noise_samples, seed, len(trainer.alphas_cumprod)
        )
        measure = evaluator(
            recipe, base, trainer.latents, trainer.alphas_cumprod, DTYPES[recipe.precision.mixed_precision], world
        )
        validation = Validation(measure, adapter, grid, job.held_out, job.split.train_subset, recipe.captions)
    return RunCallbacks(
        name=recipe.run.name,
        saving=recipe.saving,
        validation_options=recipe.validation,
        sample_options=recipe.samples,
        adapter=adapter,
        base=base.folder,
        folder=job.folder,
        world=world,
        describe=lambda now: metadata_at(job, base, now, planned),
        progress=progress,
        validation=validation,
        history=ValidationHistory(job.folder / "validation.jsonl", world),
        sample_callback=SampleCallback(job.requests, base, adapter, job.folder, generation_of(recipe, base), world)
        if job.requests
        else None,
        snapshots=snapshots,
        board=board,
        warnings=job.prompt_warnings,
    )


def generation_of(recipe: Recipe, base: BaseModel) -> Generation:
    """How a run generates its sample images."""
    return Generation(
        batch_size=recipe.batches.batch_size,
        text=recipe.text,
        mixed_precision=recipe.precision.mixed_precision,
        zero_terminal_snr=base.zero_terminal_with(recipe.noise.zero_terminal_snr),
    )


def evaluator(
    recipe: Recipe,
    base: BaseModel,
    latents: LatentCache,
    alphas_cumprod: Tensor,
    dtype: torch.dtype,
    world: World = ALONE,
) -> Evaluator:
    """What measures losses as a recipe reads captions; `alphas_cumprod` is (T,), on the base model's device."""
    conditioned = conditioner(base, recipe.text, recipe.trains_text_encoder)
    return Evaluator(base, latents, alphas_cumprod, conditioned, recipe.text.max_tokens, dtype, world)


def metadata_at(job: Job, base: BaseModel, now: Progress, planned: Progress) -> dict[str, str]:
    """What an adapter saved at a point of the run says about itself; `planned` is the end the run was begun for."""
    recipe, found = job.recipe, job.training
    windows = update_windows(recipe.batches, recipe.run.seed, found, planned.step)
    facts = TrainedFacts(
        family=base.family,
        v_prediction=base.prediction == "v_prediction",
        steps=now.step,
        epochs=now.epoch,
        planned=(planned.step, planned.epoch),
        images=len(found),
        reg_images=sum(len(example.reg_images) for example in found),
        held_out=len(job.held_out),
        buckets=dict(Counter(example.entry.bucket for example in found)),
        frequency=tag_frequency(found, (recipe.captions.keep_separator, recipe.captions.group_separator)),
        repeats=repeats_by_concept(found),
        resolution=job.resolution,
        base_digest=base.digest,
        optimizer=described(recipe.optimizer.optimizer, job.arguments),
        gradient_accumulation_steps=windows.steps,
        updates=(windows.updates(now.step), windows.all_updates),
        triggers=list(dict.fromkeys(word for example in found for word in example.triggers)),
        zero_terminal_snr=base.zero_terminal_with(recipe.noise.zero_terminal_snr),
    )
    return adapter_metadata(recipe, facts)


def new_adapter(recipe: Recipe, base: BaseModel) -> Adapter:
    """An adapter as it is before the first step: anew, or as the file holds it that training starts from. lycoris draws its
    weights from torch's global generator, which is seeded for that and put back as it was.

    Raises:
        PrepError: the file is of another shape than was asked for.
    """
    if recipe.adapter.network_weights is not None:
        check_same(trained_config(recipe), recipe.adapter.network_weights)
        tensors, _ = read_adapter(recipe.adapter.network_weights)
        held = {key: value.to(torch.float32) for key, value in tensors.items()}
        odd = next((key for key, value in held.items() if not value.isfinite().all()), None)
        if odd is not None:
            raise PrepError(
                f"network_weights {recipe.adapter.network_weights} holds numbers that are not finite, first in {odd}",
                "the run that made it went wrong: take an earlier snapshot of it, or leave network_weights out",
            )
        return Adapter.of_tensors(held, trained_config(recipe), base.unet, *base.text_encoders).to(base.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key_seed("first weights", recipe.run.seed))
        return Adapter(trained_config(recipe), base.unet, *base.text_encoders).to(base.device)
