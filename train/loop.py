"""Training, told from top to bottom: for each batch of the plan, noise the latents, ask the adapted UNet, learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from train.adapter import Adapter
from train.base import BaseModel
from train.batches import Batch, planned_batches, total_steps, window
from train.captions import Moment, shown_caption, shown_twin
from train.dataset import Example
from train.inputs import draw_inputs
from train.latents import LatentCache
from train.log import Entry, RunLog
from train.norms import scale_weight_norms
from train.objective import (
    alpha_bars,
    batch_loss,
    element_losses,
    huber_widths,
    noised,
    target,
    timestep_weights,
)
from train.optimizers import effective_rates, make_optimizer, restore, settle
from train.precision import DTYPES, lower
from train.recipe import Recipe
from train.schedules import rate_factor, updates_of, warmup_updates
from train.state import State, finite, load_state, save_state
from train.text import TextStates, text_conditioning

Progress = Callable[[str, int, int], None]


class Trainer:
    """Holds what a step needs; `run` goes over the plan, saving states, and leaves the adapter trained."""

    def __init__(
        self,
        recipe: Recipe,
        base: BaseModel,
        adapter: Adapter,
        latents: LatentCache,
        folder: Path,
        digest: str,
        arguments: Mapping[str, Any],
    ) -> None:
        self.recipe, self.base, self.adapter, self.latents = recipe, base, adapter, latents
        self.state_file, self.digest = folder / "state.safetensors", digest
        self.log = RunLog(folder / "log.jsonl", self.state_file)
        self.levels = alpha_bars(base.alphas_cumprod.to(base.device), base.prediction, recipe.zero_terminal_snr)
        self.weights = timestep_weights(self.levels, recipe.weighting, recipe.min_snr_gamma, base.prediction)
        self.widths = huber_widths(self.levels, recipe.huber_schedule, recipe.huber_width)
        self.dtype = DTYPES[recipe.mixed_precision]
        lower(base.unet, self.dtype)
        if recipe.train_text_encoder:
            lower(base.text_encoder, self.dtype)
        if recipe.gradient_checkpointing:
            base.unet.enable_gradient_checkpointing()
            base.unet.train()
        self.frozen_states = TextStates(base, recipe.clip_skip, recipe.max_tokens)
        self.trained = list(adapter.parameters())
        parts = ("unet", "te") if recipe.train_text_encoder else ("unet",)
        groups = [
            {"params": adapter.parameters_of(part), "lr": rate} for part, rate in zip(parts, recipe.rates, strict=False)
        ]
        self.optimizer = make_optimizer(recipe.optimizer, groups, arguments)
        self.scaler = torch.amp.GradScaler(base.device.type, enabled=self.dtype is torch.float16)

    def run(self, examples: Sequence[Example], progress: Progress) -> int:
        """Train to the end, from the last state if there is one; returns the steps it started from."""
        total, gathered = total_steps(self.recipe, examples), window(self.recipe, examples)
        start = saved = self._resume()
        self.log.trim(start)
        for batch in planned_batches(self.recipe, examples, start):
            done = batch.step + 1
            loss = self._loss(batch)
            self.scaler.scale(loss / gathered).backward()
            whole = done % gathered == 0 or done == total
            if whole:
                self._update((done - 1) // gathered, updates_of(total, gathered))
            keys = [example.entry.key for example in batch.examples]
            self.log.add(Entry(done, batch.epoch, loss.detach(), effective_rates(self.optimizer), keys))
            if done == total or (whole and done - saved >= self.recipe.state_every):
                self._save(done)
                saved = done
            progress("training", done, total)
        settle(self.optimizer)
        return start

    def _update(self, update: int, updates: int) -> None:
        """Turn the gathered gradients into new weights, at the rates the schedule has for this update."""
        recipe = self.recipe
        factor = rate_factor(
            update,
            updates,
            recipe.schedule,
            warmup=warmup_updates(recipe.warmup_steps, recipe.warmup_share, updates),
            cycles=recipe.cycles,
            power=recipe.power,
            least=recipe.least_rate,
        )
        for group, rate in zip(self.optimizer.param_groups, recipe.rates, strict=False):
            group["lr"] = rate * factor
        if recipe.max_grad_norm:
            self.scaler.unscale_(self.optimizer)
            clip_grad_norm_(self.trained, recipe.max_grad_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if recipe.scale_weight_norms:
            scale_weight_norms(self.adapter.layers.values(), recipe.scale_weight_norms)

    def _loss(self, batch: Batch) -> Tensor:
        """Pictures first, then their twins, each twin with all draws of its picture."""
        recipe, device = self.recipe, self.base.device
        shown = draw_inputs(batch, recipe, self.latents, len(self.levels))
        captions = self._captions(batch, shown.keyed, shown.twins)
        clean, noise, times = (on_device(each, device) for each in (shown.clean, shown.noise, shown.times))
        mixed = noise if shown.mixed is shown.noise else on_device(shown.mixed, device)
        level = self.levels[times]
        with torch.autocast(device.type, self.dtype, enabled=self.dtype is not torch.float32):
            conditioning = (
                text_conditioning(self.base, captions, recipe.clip_skip, recipe.max_tokens)
                if recipe.train_text_encoder
                else self.frozen_states(captions)
            )
            predicted = self.base.predict(noised(clean, mixed, level), times, conditioning)
        wanted = target(clean, noise, level, self.base.prediction)
        losses = element_losses(predicted, wanted, recipe.loss, self.widths[times]).mean((1, 2, 3))
        return batch_loss(losses * self.weights[times], len(shown.twins), recipe.prior_loss_weight, recipe.batch_size)

    def _captions(self, batch: Batch, keyed: list[tuple[str, int, int, int, str]], twins: list[int]) -> list[str]:
        """Each picture's caption as shown now; a twin's by the same draws."""
        recipe, moments = self.recipe, [Moment(batch.step, batch.epoch, key) for key in keyed]
        own = [
            shown_caption(example.caption, example.triggers, recipe, moment)
            for example, moment in zip(batch.examples, moments, strict=True)
        ]
        pairs = [(batch.examples[row], moments[row]) for row in twins]
        return own + [
            shown_twin(example.twin_caption, example.caption, example.triggers, recipe, moment)
            for example, moment in pairs
        ]

    def _resume(self) -> int:
        """Put back the last state of this run and return the steps it had done; 0 if there is none."""
        state = load_state(self.state_file, self.digest)
        if state is None:
            return 0
        with torch.no_grad():
            for weight, stored in zip(self.trained, state.parts["adapter"], strict=True):
                weight.copy_(stored)
        restore(self.optimizer, state.parts["optimizer"])
        self.scaler.load_state_dict(state.parts["scaler"])
        return state.step

    def _save(self, step: int) -> None:
        """Write the state after `step`, unless a loss or a weight is not finite."""
        self.log.write()
        if not finite(self.trained):
            self.log.refuse_weights()
        parts = {
            "adapter": self.trained,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }
        save_state(self.state_file, State(step, parts), self.digest)


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy to the device; from pinned memory to a GPU, so that the CPU need not wait until the GPU has caught up."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
