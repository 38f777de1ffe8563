"""One training run and what is made with it: from the open manifest to files in SET/runs/NAME."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.errors import PrepError
from pipeline.manifest import Manifest
from train.adapter import Adapter, Shape, read_adapter
from train.algorithms.reading import check_same
from train.algorithms.rules import adapter_shape
from train.base import BaseModel, base_of
from train.batches import place_after, total_steps, window
from train.dataset import tag_frequency
from train.draws import key_seed
from train.exporting import write_merged
from train.job import Job, planned_job
from train.latents import LatentCache
from train.log import RunLog
from train.looks import History
from train.loop import Trainer
from train.metadata import adapter_metadata
from train.milestones import Place
from train.objective import alpha_bars
from train.optimizers import described
from train.precision import vae_dtype
from train.processes import in_processes, process_device, shared_device
from train.recipe import Recipe
from train.runfile import adapter_file, note_adapter
from train.runfolder import STATE, close_folder, open_folder, refuse_lost
from train.showing import Showing
from train.snapshots import Snapshot
from train.team import ALONE, Team
from train.tensorboard import TensorBoard
from train.text import text_conditioning
from train.validation import Validation
from train.watch import Watch

Progress = Callable[[str, int, int], None]


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
    progress: Progress,
    base: BaseModel | None = None,
    origins: Mapping[str, str] | None = None,
    versions: Mapping[str, str] | None = None,
) -> Trained:
    """Cache latents, train (or take up a killed run), save the adapter with its metadata.

    A `base` that is given is left with its frozen weights in the recipe's precision.
    """
    job = planned_job(manifest, recipe, origins or {}, versions or {})
    if recipe.processes == 1:
        return carry_out(job, ALONE, progress, base)
    device = shared_device(recipe.device, recipe.processes)
    found = in_processes(carry_out, job, recipe.processes, device, progress)
    assert isinstance(found, Trained)
    return found


def carry_out(job: Job, team: Team, progress: Progress, base: BaseModel | None = None) -> Trained:
    """One process's part of a run, which with one process is all of it."""
    recipe, begun = job.recipe, time.monotonic()
    base = base or base_of(recipe, process_device(shared_device(recipe.device, team.count), team))
    digest = job.state_digest(base.digest)
    latents = LatentCache(job.root / "cache" / "latents", base, vae_dtype(recipe, base.device), writes=team.leads)
    adapter = new_adapter(recipe, base)
    refuse_unfit(recipe, base)
    refuse_lost(job, base, digest)
    cache_latents(job, latents, team, progress)
    opened = open_folder(job, base, digest, team)
    if team.leads:
        note_adapter(job.folder, [str(figures) for figures in adapter.describe()])
    board = TensorBoard(job.folder / "tensorboard", opened.start) if recipe.tensorboard and team.leads else None
    adapter.hang()
    try:
        state_file = job.folder / STATE
        log = RunLog(job.folder / "log.jsonl", state_file, team, board.add if board else None)
        trainer = Trainer(recipe, base, adapter, latents, state_file, digest, job.arguments, log, team)
        watch = watching(job, base, adapter, latents, trainer, team, opened.snapshots, progress, board)
        started, place = trainer.run(job.training, watch, progress)
    finally:
        adapter.take_off()
        if board:
            board.close()
    file = adapter_file(job.root, recipe.name)
    compared: tuple[str, ...] = ()
    if team.leads:
        merged = write_merged(base.folder, file) if recipe.save_checkpoint else None
        compared = close_folder(job, watch, place, time.monotonic() - begun, merged)
    notes = (*base.notes, *opened.notes, *watch.remarks, *latents.remarks())
    return Trained(file, place.step, started, notes, (*opened.differences, *compared))


def refuse_unfit(recipe: Recipe, base: BaseModel) -> None:
    """See, before anything is written, that the recipe can be carried out with the base model.

    Raises:
        PrepError: its text encoder has fewer layers than are to be skipped, or it predicts what the schedule asked for
            cannot be used with.
    """
    alpha_bars(base.alphas_cumprod, base.prediction, recipe.zero_terminal_snr)
    with torch.no_grad():
        text_conditioning(base, [""], recipe.clip_skip, recipe.max_tokens)


def cache_latents(job: Job, latents: LatentCache, team: Team, progress: Progress) -> None:
    """Have every latent on disk before the first step; the leader encodes what is missing while the others wait."""
    pictures = [picture for example in (*job.training, *job.held) for picture in example.pictures()]
    if team.leads:
        latents.fill(pictures, progress)
    team.wait()


def watching(
    job: Job,
    base: BaseModel,
    adapter: Adapter,
    latents: LatentCache,
    trainer: Trainer,
    team: Team,
    snapshots: list[Snapshot],
    progress: Progress,
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
        history=History(job.folder / "validation.jsonl", team),
        showing=Showing(job.requests, base, adapter, job.folder, recipe, team) if job.requests else None,
        snapshots=snapshots,
        board=board,
        remarks=job.prompt_remarks,
    )


def metadata_at(job: Job, base: BaseModel, place: Place, planned: Place) -> dict[str, str]:
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
        twins=sum(len(example.twins) for example in found),
        buckets=dict(Counter(example.entry.bucket for example in found)),
        frequency=tag_frequency(found, (recipe.keep_separator, recipe.group_separator)),
        base_digest=base.digest,
        optimizer=described(recipe.optimizer, job.arguments),
        accumulate=window(recipe, found),
        held_out=len(job.held),
        triggers=list(dict.fromkeys(word for example in found for word in example.triggers)),
    )


def new_adapter(recipe: Recipe, base: BaseModel) -> Adapter:
    """An adapter as it is before the first step: anew, or as the file holds it that training starts from. lycoris draws its
    weights from torch's global generator, which is seeded for that and put back as it was.

    Raises:
        PrepError: the file is of another shape than was asked for.
    """
    if recipe.start_from is not None:
        check_same(adapter_shape(recipe), recipe.start_from)
        tensors, _ = read_adapter(recipe.start_from)
        held = {key: value.to(torch.float32) for key, value in tensors.items()}
        return Adapter.of_tensors(held, adapter_shape(recipe), base.unet, *base.text_encoders).to(base.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key_seed("first weights", recipe.seed))
        return Adapter(adapter_shape(recipe), base.unet, *base.text_encoders).to(base.device)


def hang_adapter(base: BaseModel, file: Path) -> Adapter:
    """Hang a trained adapter on its base model, ready to sample with.

    Raises:
        PrepError: the file is not there, or does not fit the base model.
    """
    if not file.is_file():
        raise PrepError(f"there is no adapter at {file}", "train one with: prep train SET")
    tensors, _ = read_adapter(file)
    shape = Shape(algorithm="lora", rank=1, alpha=1.0)  # every layer has its own, by its tensors
    held = {key: value.to(torch.float32) for key, value in tensors.items()}
    adapter = Adapter.of_tensors(held, shape, base.unet, *base.text_encoders).to(base.device)
    adapter.hang()
    return adapter
