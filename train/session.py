"""One training run and what is made with it: from the open manifest to files in SET/runs/NAME."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.core.errors import PrepError
from pipeline.core.seeded import key_seed
from pipeline.store.manifest import Manifest
from train.adapters.adapter import Adapter, AdapterConfig, read_adapter
from train.adapters.detect import check_same
from train.adapters.export import write_merged
from train.adapters.option_rules import adapter_config
from train.data.batches import place_after, total_steps, window
from train.data.dataset import tag_frequency
from train.data.latent_cache import LatentCache
from train.distributed.launch import in_processes, process_device, shared_device
from train.distributed.world import ALONE, World
from train.evaluation.samples import SampleCallback
from train.evaluation.validation import Validation
from train.evaluation.validation_history import ValidationHistory
from train.job import Job, planned_job
from train.loop import Trainer
from train.models.base import BaseModel
from train.models.load import load_base
from train.models.noise_schedule import training_alphas_cumprod
from train.models.text_encoding import text_conditioning
from train.optimization.optimizers import described
from train.optimization.precision import vae_dtype
from train.options.recipe import Recipe
from train.run.adapter_metadata import adapter_metadata
from train.run.callbacks import Watch
from train.run.milestones import Progress
from train.run.run_folder import STATE, close_folder, open_folder, refuse_lost
from train.run.run_record import adapter_file, note_adapter
from train.run.snapshots import Snapshot
from train.run.step_log import RunLog
from train.run.tensorboard import TensorBoard

ProgressCallback = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Trained:
    """What a finished run left: the adapter file, its steps, the step it was taken up from, what is to be minded, and how
    it compares with the run that it does again."""

    file: Path
    steps: int
    resumed_from: int
    notes: tuple[str, ...]
    compared: tuple[str, ...] = ()


def train_adapter(
    manifest: Manifest,
    recipe: Recipe,
    progress: ProgressCallback,
    base: BaseModel | None = None,
    origins: Mapping[str, str] | None = None,
    versions: Mapping[str, str] | None = None,
) -> Trained:
    """Cache latents, train (or take up a killed run), save the adapter with its metadata.

    A `base` that is given is left with its frozen weights in the recipe's precision.
    """
    job = planned_job(manifest, recipe, origins or {}, versions or {})
    if recipe.run.processes == 1:
        return carry_out(job, ALONE, progress, base)
    device = shared_device(recipe.run.device, recipe.run.processes)
    found = in_processes(carry_out, job, recipe.run.processes, device, progress)
    assert isinstance(found, Trained)
    return found


def carry_out(job: Job, team: World, progress: ProgressCallback, base: BaseModel | None = None) -> Trained:
    """One process's part of a run, which with one process is all of it."""
    recipe, begun = job.recipe, time.monotonic()
    base = base or base_of(recipe, process_device(shared_device(recipe.run.device, team.count), team))
    digest = job.state_digest(base.digest)
    latents = LatentCache(job.root / "cache" / "latents", base, vae_dtype(recipe, base.device), writes=team.leads)
    adapter = new_adapter(recipe, base)
    refuse_unfit(recipe, base)
    refuse_lost(job, base, digest)
    cache_latents(job, latents, team, progress)
    opened = open_folder(job, base, digest, team)
    if team.leads:
        note_adapter(job.folder, [str(figures) for figures in adapter.describe()])
    board = TensorBoard(job.folder / "tensorboard", opened.start) if recipe.run.tensorboard and team.leads else None
    adapter.attach()
    try:
        state_file = job.folder / STATE
        log = RunLog(job.folder / "log.jsonl", state_file, team, board.add if board else None)
        trainer = Trainer(recipe, base, adapter, latents, state_file, digest, job.arguments, log, team)
        watch = watching(job, base, adapter, latents, trainer, team, opened.snapshots, progress, board)
        started, place = trainer.run(job.training, watch, progress)
    finally:
        adapter.detach()
        if board:
            board.close()
    file = adapter_file(job.root, recipe.run.name)
    compared: tuple[str, ...] = ()
    if team.leads:
        merged = write_merged(base.folder, file) if recipe.saving.save_checkpoint else None
        compared = close_folder(job, watch, place, time.monotonic() - begun, merged)
    notes = (*base.notes, *opened.notes, *watch.remarks, *latents.remarks())
    return Trained(file, place.step, started, notes, (*opened.differences, *compared))


def refuse_unfit(recipe: Recipe, base: BaseModel) -> None:
    """See, before anything is written, that the recipe can be carried out with the base model.

    Raises:
        PrepError: its text encoder has fewer layers than are to be skipped, or it predicts what the schedule asked for
            cannot be used with.
    """
    training_alphas_cumprod(base.alphas_cumprod, base.prediction, recipe.noise.zero_terminal_snr)
    with torch.no_grad():
        text_conditioning(base, [""], recipe.text.clip_skip, recipe.text.max_tokens)


def cache_latents(job: Job, latents: LatentCache, team: World, progress: ProgressCallback) -> None:
    """Have every latent on disk before the first step; the leader encodes what is missing while the others wait."""
    images = [image for example in (*job.training, *job.held) for image in example.images()]
    if team.leads:
        latents.fill(images, progress)
    team.wait()


def watching(
    job: Job,
    base: BaseModel,
    adapter: Adapter,
    latents: LatentCache,
    trainer: Trainer,
    team: World,
    snapshots: list[Snapshot],
    progress: ProgressCallback,
    board: TensorBoard | None,
) -> Watch:
    """What is done beside the steps, as the recipe asks for it."""
    recipe = job.recipe
    looks = bool(job.held or job.watched)
    planned = place_after(recipe, job.training, total_steps(recipe, job.training), last=True)
    return Watch(
        recipe=recipe,
        adapter=adapter,
        base=base.folder,
        folder=job.folder,
        team=team,
        describe=lambda place: metadata_at(job, base, place, planned),
        progress=progress,
        validation=Validation(recipe, base, adapter, latents, trainer.levels, job.held, job.watched, team)
        if looks
        else None,
        history=ValidationHistory(job.folder / "validation.jsonl", team),
        showing=SampleCallback(job.requests, base, adapter, job.folder, recipe, team) if job.requests else None,
        snapshots=snapshots,
        board=board,
        remarks=job.prompt_remarks,
    )


def metadata_at(job: Job, base: BaseModel, place: Progress, planned: Progress) -> dict[str, str]:
    """What an adapter saved at a point of the run says about itself; `planned` is the end the run was begun for."""
    recipe, found = job.recipe, job.training
    return adapter_metadata(
        recipe,
        v2=base.family == "sd2",
        v_prediction=base.prediction == "v_prediction",
        family=base.family,
        steps=place.step,
        epochs=place.epoch,
        planned=(planned.step, planned.epoch),
        images=len(found),
        reg_images=sum(len(example.reg_images) for example in found),
        buckets=dict(Counter(example.entry.bucket for example in found)),
        frequency=tag_frequency(found, (recipe.captions.keep_separator, recipe.captions.group_separator)),
        base_digest=base.digest,
        optimizer=described(recipe.optimizer.optimizer, job.arguments),
        gradient_accumulation_steps=window(recipe, found),
        held_out=len(job.held),
        triggers=list(dict.fromkeys(word for example in found for word in example.triggers)),
    )


def new_adapter(recipe: Recipe, base: BaseModel) -> Adapter:
    """An adapter as it is before the first step: anew, or as the file holds it that training starts from. lycoris draws its
    weights from torch's global generator, which is seeded for that and put back as it was.

    Raises:
        PrepError: the file is of another shape than was asked for.
    """
    if recipe.adapter.network_weights is not None:
        check_same(adapter_config(recipe.adapter), recipe.adapter.network_weights)
        tensors, _ = read_adapter(recipe.adapter.network_weights)
        held = {key: value.to(torch.float32) for key, value in tensors.items()}
        return Adapter.of_tensors(held, adapter_config(recipe.adapter), base.unet, *base.text_encoders).to(base.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key_seed("first weights", recipe.run.seed))
        return Adapter(adapter_config(recipe.adapter), base.unet, *base.text_encoders).to(base.device)


def attach_adapter(base: BaseModel, file: Path) -> Adapter:
    """Attach a trained adapter to its base model, ready to sample with.

    Raises:
        PrepError: the file is not there, or does not fit the base model.
    """
    if not file.is_file():
        raise PrepError(f"there is no adapter at {file}", "train one with: prep train SET")
    tensors, _ = read_adapter(file)
    config = AdapterConfig(algorithm="lora", rank=1, alpha=1.0)  # every layer has its own, by its tensors
    held = {key: value.to(torch.float32) for key, value in tensors.items()}
    adapter = Adapter.of_tensors(held, config, base.unet, *base.text_encoders).to(base.device)
    adapter.attach()
    return adapter


def base_of(recipe: Recipe, device: str | None = None) -> BaseModel:
    """The base model that a recipe names, on its device or another.

    Raises:
        PrepError: see `load_base`.
    """
    return load_base(
        recipe.model.base,
        recipe.model.revision,
        device or recipe.run.device,
        vae=recipe.model.vae,
        tokenizer=recipe.model.tokenizer,
        prediction=recipe.model.prediction,
    )
