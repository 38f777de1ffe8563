"""Training, told from top to bottom: for each batch of the plan, noise the latents, ask the adapted UNet, learn."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from diffusers.optimization import get_scheduler
from torch import Tensor

from pipeline.errors import PrepError
from train.adapter import Adapter, Denoiser
from train.base import BaseModel
from train.captions import shown_caption
from train.dataset import Example
from train.draws import key_seed, normal, rng
from train.latents import LatentCache, Picture
from train.objective import batch_loss, noised, sample_losses, target, timestep_weights
from train.recipe import Recipe
from train.sampler import epoch_batches, epoch_length
from train.state import load_state, save_state
from train.text import TextStates, text_states

Progress = Callable[[str, int, int], None]
TIMESTEPS = 1000


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step trains on: `step` counts from 0 over the whole run, `epoch` from 0."""

    step: int
    epoch: int
    examples: tuple[Example, ...]


def total_steps(recipe: Recipe, examples: Sequence[Example]) -> int:
    """Batches of the whole run: as given, or what the epochs come to."""
    if recipe.steps is not None:
        return recipe.steps
    entries = [example.entry for example in examples]
    return sum(epoch_length(entries, recipe.batch_size, recipe.seed, epoch) for epoch in range(recipe.epochs))


def planned_batches(recipe: Recipe, examples: Sequence[Example], start: int) -> Iterator[Batch]:
    """Every batch of the run from step `start` on; epochs follow each other until the steps are done."""
    by_key = {example.entry.key: example for example in examples}
    entries = [example.entry for example in examples]
    total, step, epoch = total_steps(recipe, examples), 0, 0
    while step < total:
        length = epoch_length(entries, recipe.batch_size, recipe.seed, epoch)
        if step + length > start:
            for keys in epoch_batches(entries, recipe.batch_size, recipe.seed, epoch):
                if start <= step < total:
                    yield Batch(step, epoch, tuple(by_key[key] for key in keys))
                step += 1
        else:
            step += length
        epoch += 1


class Trainer:
    """Holds what a step needs; `run` goes over the plan, saving states, and leaves the adapter trained."""

    def __init__(
        self, recipe: Recipe, base: BaseModel, adapter: Adapter, latents: LatentCache, folder: Path, digest: str
    ) -> None:
        self.recipe, self.base, self.adapter, self.latents = recipe, base, adapter, latents
        self.state_file, self.log_file, self.digest = folder / "state.safetensors", folder / "log.jsonl", digest
        self.accelerator = Accelerator(
            mixed_precision=recipe.mixed_precision,
            cpu=base.device.type == "cpu",
            gradient_accumulation_steps=recipe.accumulate,
        )
        self.frozen_states = TextStates(base, recipe.clip_skip)
        if recipe.gradient_checkpointing:
            base.unet.enable_gradient_checkpointing()
            base.unet.train()
        groups = [{"params": adapter.parameters_of("unet"), "lr": recipe.learning_rate}]
        if recipe.train_text_encoder:
            groups.append({"params": adapter.parameters_of("te"), "lr": recipe.text_learning_rate})
        self.optimizer = torch.optim.AdamW(groups, weight_decay=1e-2)

    def run(self, examples: Sequence[Example], progress: Progress) -> int:
        """Train to the end, from the last state if there is one; returns the steps it started from."""
        total = total_steps(self.recipe, examples)
        start = load_state(self.state_file, self.adapter, self.optimizer, self.digest)
        scheduler = get_scheduler(
            self.recipe.scheduler, self.optimizer, num_warmup_steps=self.recipe.warmup_steps, num_training_steps=total
        )
        denoiser, optimizer = self.accelerator.prepare(Denoiser(self.base.unet, self.adapter), self.optimizer)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", UserWarning
            )  # torch expects optimizer steps here; they were taken before the stop
            for _ in range(start):
                scheduler.step()
        self._trim_log(start)
        for batch in planned_batches(self.recipe, examples, start):
            with self.accelerator.accumulate(denoiser):
                loss = self._loss(denoiser, batch)
                self._refuse_nonfinite(loss, batch)
                self.accelerator.backward(loss)
                if self.accelerator.sync_gradients and self.recipe.max_grad_norm:
                    self.accelerator.clip_grad_norm_(self.adapter.parameters(), self.recipe.max_grad_norm)
                optimizer.step()
                optimizer.zero_grad()
            scheduler.step()
            done, value = batch.step + 1, loss.item()
            self._log(done, batch.epoch, value, scheduler.get_last_lr()[0])
            if done % self.recipe.state_every == 0:
                save_state(self.state_file, self.adapter, self.optimizer, done, self.digest)
            progress("training", done, total)
        save_state(self.state_file, self.adapter, self.optimizer, total, self.digest)
        return start

    def _loss(self, denoiser: torch.nn.Module, batch: Batch) -> Tensor:
        """Pictures first, then their twins, each twin with its picture's timestep and noise."""
        recipe, device = self.recipe, self.base.device
        keyed = [("sample", recipe.seed, batch.epoch, batch.step, example.entry.key) for example in batch.examples]
        twins = [
            index
            for index, example in enumerate(batch.examples)
            if example.twin is not None and recipe.prior_loss_weight > 0
        ]
        pictures = [example.picture for example in batch.examples] + [
            self._twin(batch.examples[index]) for index in twins
        ]
        rows = list(range(len(batch.examples))) + twins
        clean = torch.stack(
            [
                self._clean(picture, *keyed[row], place)
                for place, (picture, row) in enumerate(zip(pictures, rows, strict=True))
            ]
        )
        noise = torch.stack([normal(tuple(clean.shape[1:]), *keyed[row], "noise") for row in rows])
        times = torch.tensor([int(rng(*keyed[row], "timestep").integers(0, TIMESTEPS)) for row in rows])
        level = self.base.alphas_cumprod[times].to(device)
        clean, noise = clean.to(device), noise.to(device)
        captions = self._captions(batch, keyed, twins)
        with self.accelerator.autocast():
            states = (
                text_states(self.base, captions, recipe.clip_skip)
                if recipe.train_text_encoder
                else self.frozen_states(captions)
            )
            predicted = denoiser(noised(clean, noise, level), times.to(device), states)
        wanted = target(clean, noise, level, self.base.prediction)
        weights = timestep_weights(level, recipe.weighting, recipe.min_snr_gamma, self.base.prediction)
        losses = sample_losses(predicted, wanted, weights)
        return batch_loss(losses, len(twins), recipe.prior_loss_weight, recipe.batch_size)

    def _captions(self, batch: Batch, keyed: list[tuple[str, int, int, int, str]], twins: list[int]) -> list[str]:
        """Each picture's caption as shown now; a twin's is shuffled by the same draw."""

        def shown(text: str, row: int) -> str:
            keep = batch.examples[row].head(text) if self.recipe.keep_tags is None else self.recipe.keep_tags
            return shown_caption(
                text, rng(*keyed[row], "caption"), self.recipe.shuffle_tags, keep, self.recipe.caption_dropout
            )

        own = [shown(example.caption, row) for row, example in enumerate(batch.examples)]
        return own + [shown(batch.examples[row].twin_caption, row) for row in twins]

    def _twin(self, example: Example) -> Picture:
        assert example.twin is not None
        return example.twin

    def _clean(self, picture: Picture, *key: int | str) -> Tensor:
        """A draw from the picture's latent distribution, (4, h, w)."""
        latent = self.latents.read(picture)
        return latent.mean + latent.spread * normal(tuple(latent.mean.shape), *key, "latent")

    def _refuse_nonfinite(self, loss: Tensor, batch: Batch) -> None:
        if bool(torch.isfinite(loss)):
            return
        names = ", ".join(example.entry.key for example in batch.examples)
        raise PrepError(
            f"the loss is {loss.item()} at step {batch.step + 1}; the batch held {names}",
            f'the last good state is kept in {self.state_file}; lower the learning rate, or use mixed_precision = "bf16"',
        )

    def _trim_log(self, start: int) -> None:
        """Drop what a killed run logged after its last state."""
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        lines = self.log_file.read_text(encoding="utf-8").splitlines() if start and self.log_file.exists() else []
        self.log_file.write_text("".join(line + "\n" for line in lines[:start]), encoding="utf-8")

    def _log(self, step: int, epoch: int, loss: float, rate: float) -> None:
        with self.log_file.open("a", encoding="utf-8") as stream:
            stream.write(
                json.dumps({"step": step, "epoch": epoch, "loss": round(loss, 6), "learning_rate": rate}) + "\n"
            )


def first_weights(recipe: Recipe) -> None:
    """Seed torch for the adapter's first weights; lycoris draws them from the global generator."""
    torch.manual_seed(key_seed("first weights", recipe.seed))
