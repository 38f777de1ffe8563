"""Training, from top to bottom: for each batch of the plan, noise the latents, ask the adapted UNet, learn."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, get_total_norm

from train.adapters.adapter import Adapter
from train.data.accumulation import update_windows
from train.data.batches import Batch, planned_batches, progress_after, total_steps, with_ends
from train.data.dataset import Example
from train.data.latent_cache import LatentCache
from train.data.progress import Progress
from train.data.step_inputs import Inputs, Sample, draw_inputs, samples_of, shown_captions, sizes_of
from train.device import on_device
from train.distributed.interrupt import stoppable
from train.distributed.world import ALONE
from train.models.base import BaseModel, Part
from train.models.finite import refuse_not_finite
from train.models.precision import DTYPES
from train.models.sampling.noise_schedule import noised, training_alphas_cumprod
from train.models.speed import compile_blocks, float32_products, put_channels_last
from train.models.storage import Numbers, keep_all, restored_again
from train.models.text.conditioning import Conditioning, with_sizes
from train.models.text.text_encoding import TextStates, text_conditioning
from train.optimization.objective import batch_loss, element_losses, huber_widths, target, timestep_weights
from train.optimization.optimizers import effective_rates, eval_mode, eval_mode_now, make_optimizer, restore
from train.optimization.schedules import rate_factor, warmup_updates
from train.options.recipe import Recipe
from train.run.callbacks import RunCallbacks
from train.run.resume_state import State, StateFile, finite, load_state, save_state
from train.run.step_log import TOGETHER, LogEntry, RunLog

ProgressCallback = Callable[[str, int, int], None]
AHEAD = 1000
"""Batches whose captions are read at once at the most, where text encoders are brought to the device for it."""


class Trainer:
    """Holds what a step needs; `run` goes over the plan, saving states, and leaves the adapter trained."""

    def __init__(
        self,
        recipe: Recipe,
        base: BaseModel,
        adapter: Adapter,
        latents: LatentCache,
        state: StateFile,
        arguments: Mapping[str, Any],
        log: RunLog,
    ) -> None:
        """`arguments` are the optimizer's; the processes that train together are those that write the log."""
        self.recipe, self.base, self.adapter, self.latents = recipe, base, adapter, latents
        self.state, self.log, self.world = state, log, log.world
        alphas_cumprod = training_alphas_cumprod(base.alphas_cumprod, base.prediction, recipe.noise.zero_terminal_snr)
        objective = recipe.objective
        weights = timestep_weights(alphas_cumprod, objective.weighting, objective.min_snr_gamma, base.prediction)
        widths = huber_widths(alphas_cumprod, objective.huber_schedule, objective.huber_c)
        self.alphas_cumprod, self.weights, self.widths = (
            each.to(base.device) for each in (alphas_cumprod, weights, widths)
        )
        self.dtype = DTYPES[recipe.precision.mixed_precision]
        if self.dtype is not torch.float32:
            for model in (base.unet, *(base.text_encoders if recipe.trains_text_encoder else ())):
                keep_all(model, Numbers(self.dtype))
        if self.dtype is torch.float16:
            refuse_not_finite(base)  # a weight above 65504 has become infinite
        if recipe.precision.gradient_checkpointing:
            base.unet.enable_gradient_checkpointing()
            base.unet.train()
        if recipe.precision.channels_last:
            put_channels_last(base.unet)
        if recipe.precision.compile:
            compile_blocks(base.unet, base.device)
        self.frozen_states = TextStates(base, recipe.text.clip_skip, recipe.text.max_tokens)
        rated = [
            (rate * share, weights)
            for part, rate in part_rates(recipe, len(base.text_encoders)).items()
            for share, weights in adapter.groups(part)
        ]
        moved = {id(weight) for _, weights in rated for weight in weights}
        for weight in adapter.parameters():
            weight.requires_grad_(id(weight) in moved)
        self.trained = [weight for weight in adapter.parameters() if id(weight) in moved]
        self.lrs = [rate for rate, _ in rated]
        self.done = 0
        self._parts: tuple[Part, ...] = ("unet", "text") if recipe.trains_text_encoder else ("unet",)
        groups = [{"params": weights, "lr": rate} for rate, weights in rated]
        self.optimizer = make_optimizer(recipe.optimizer.optimizer, groups, arguments)
        self.scaler = torch.amp.GradScaler(base.device.type, enabled=self.dtype is torch.float16)

    def run(
        self, examples: Sequence[Example], callbacks: RunCallbacks, progress: ProgressCallback
    ) -> tuple[int, Progress]:
        """Train to the end, from the last state if there is one; returns the steps it started from and where it ended.

        Raises:
            KeyboardInterrupt: the person stopped it; the state is saved.
        """
        batches, seed = self.recipe.batches, self.recipe.run.seed
        total = total_steps(batches, seed, examples)
        windows = update_windows(batches, seed, examples, total)
        start = saved = self.done = self._resume()
        now = progress_after(batches, seed, examples, start, start == total)
        self.log.trim(start)
        callbacks.begin(now)
        fast = float32_products(self.recipe.precision.tf32)
        with stoppable() as stop, fast, self.base.using(*self._parts):
            for batch, ends_epoch in with_ends(self._with_texts(planned_batches(batches, seed, examples, start))):
                if callbacks.enough:
                    break
                begun, done = time.perf_counter(), batch.step + 1
                entry = self._learn(batch, windows.steps)
                whole = windows.closes(done)
                norm = self._update(windows.updates(done) - 1, windows.all_updates) if whole else None
                self.log.add(entry(effective_rates(self.optimizer), norm, time.perf_counter() - begun))
                now, self.done = Progress(done, batch.epoch + 1, ends_epoch, done == total), done
                stopping = whole and self._asked_to_stop(stop.asked, done)
                kept = done - saved >= self.recipe.saving.save_state_every or callbacks.keeps(now)
                saving = done == total or stopping or (whole and kept)
                wanted = callbacks.wants(now)
                if done < total and (saving or wanted):
                    self._refuse_unsound(done)
                if done < total and wanted:
                    with eval_mode(self.optimizer, self.trained):
                        callbacks.at(now)
                if done < total and saving:
                    self._save(done)
                    saved = done
                progress(f"training: {self.log.smoothed()}", done, total)
                if stopping and done < total:
                    raise KeyboardInterrupt(f"after step {done} of {total}")
        self._end(callbacks, now, saved)
        return start, now

    def _end(self, callbacks: RunCallbacks, now: Progress, saved: int) -> None:
        """Leave the adapter, which matters most, before the log, what is measured of it, and the state: a disk that gets
        full in between loses the lesser."""
        full: OSError | None = None
        try:
            if now.last and now.step > saved:
                self._refuse_unsound(now.step)
            self.log.write()
        except OSError as error:
            full = error
        with eval_mode(self.optimizer, self.trained):
            callbacks.finish(now)
        if full is not None:
            raise full
        if now.last and now.step > saved:
            self._save(now.step)
        eval_mode_now(self.optimizer)

    def _learn(self, batch: Batch, accumulation: int) -> Callable[[list[float], Tensor | None, float], LogEntry]:
        """Add a batch's gradients to those accumulated; returns how to write it down."""
        shard = self.world.shard(range(len(batch.examples)))
        recipe = self.recipe
        shown = draw_inputs(
            batch,
            recipe.noise,
            recipe.run.seed,
            self.latents,
            len(self.alphas_cumprod),
            regularized=recipe.dataset.regularized,
            rows=shard,
        )
        loss = losses = torch.zeros(0, device=self.base.device)
        if shown.samples:
            keys = [sample.key for sample in shown.samples]
            with self.adapter.dropping((self.recipe.run.seed, batch.step), keys):
                with restored_again(self.base.unet, *self.base.text_encoders):
                    losses = self._losses(batch, shown)
                weighted = losses * self.weights[shown.times.to(losses.device)]
                loss = batch_loss(weighted, shown.reg_images, self._prior_weights(shown), self._divisor(batch, shown))
                self.scaler.scale(loss / accumulation).backward()
        else:
            self.scaler.scale(loss)  # it begins with the first loss that it sees, and has to in every process

        def entry(lrs: list[float], norm: Tensor | None, seconds: float) -> LogEntry:
            return LogEntry(
                step=batch.step + 1,
                epoch=batch.epoch + 1,
                loss=loss.detach().sum(),
                losses=losses.detach(),
                times=shown.times,
                keys=[sample.example.entry.key for sample in shown.samples],
                concepts=[sample.example.concept for sample in shown.samples],
                reg_images=shown.reg_images,
                lrs=lrs,
                gradient_norm=norm,
                seconds=seconds,
            )

        return entry

    def _prior_weights(self, shown: Inputs) -> Tensor:
        """(R,) the weight of each regularization image."""
        prior = self.recipe.objective.prior
        weights = [prior.of(sample.example.concept) for sample in shown.samples if sample.reg_image is not None]
        return on_device(torch.tensor(weights), self.base.device)

    def _divisor(self, batch: Batch, shown: Inputs) -> int:
        """What a batch's summed losses are divided by, in every process the same."""
        recipe = self.recipe
        if recipe.objective.batch_loss == "nominal":
            return recipe.batches.batch_size
        if self.world == ALONE:
            return len(shown.samples)
        return len(samples_of(batch, recipe.run.seed, regularized=recipe.dataset.regularized))

    def _losses(self, batch: Batch, shown: Inputs) -> Tensor:
        """(S,) the loss of every sample, images first, then their regularization images."""
        recipe, device = self.recipe, self.base.device
        clean, noise, times = (on_device(each, device) for each in (shown.clean, shown.noise, shown.times))
        mixed = noise if shown.mixed is shown.noise else on_device(shown.mixed, device)
        alpha_prod, half = self.alphas_cumprod[times], self.dtype is not torch.float32
        with torch.autocast(device.type, self.dtype, enabled=half):
            predicted = self.base.predict(noisy := noised(clean, mixed, alpha_prod), times, self._read(batch, shown))
        wanted = target(clean, noise, alpha_prod, self.base.prediction)
        if preserved := [row for row, sample in enumerate(shown.samples) if sample.preserved]:
            with self.adapter.off(), torch.no_grad(), torch.autocast(device.type, self.dtype, enabled=half):
                own = self.base.predict(noisy[preserved], times[preserved], self._read(batch, shown)[preserved])
            wanted = wanted.index_copy(0, torch.tensor(preserved, device=device), own.to(wanted.dtype))
        return element_losses(predicted, wanted, recipe.objective.loss, self.widths[times]).mean((1, 2, 3))

    def _read(self, batch: Batch, shown: Inputs) -> Conditioning:
        """What the UNet is told of every sample."""
        conditioning = self._conditioning(self._captions(batch, shown.samples))
        return with_sizes(conditioning, [sizes_of(sample.image) for sample in shown.samples])

    def _conditioning(self, captions: list[str]) -> Conditioning:
        recipe = self.recipe
        if recipe.trains_text_encoder:
            return text_conditioning(self.base, captions, recipe.text.clip_skip, recipe.text.max_tokens)
        return self.frozen_states(captions)

    def _with_texts(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The batches; where frozen text encoders leave the device, they are brought there once for many of them."""
        if self.recipe.trains_text_encoder or self.base.residency is None:
            yield from batches
            return
        while ahead := list(islice(batches, AHEAD)):
            while ahead:
                count = self.frozen_states.read_ahead(self._shown(batch) for batch in ahead)
                yield from ahead[:count]
                ahead = ahead[count:]

    def _shown(self, batch: Batch) -> list[str]:
        """The captions of this process's samples of a batch, as they will be shown."""
        rows, regularized = self.world.shard(range(len(batch.examples))), self.recipe.dataset.regularized
        return self._captions(batch, samples_of(batch, self.recipe.run.seed, regularized=regularized, rows=rows))

    def _captions(self, batch: Batch, samples: Sequence[Sample]) -> list[str]:
        """Each sample's caption as shown now."""
        return shown_captions(samples, batch, self.recipe.captions, self.recipe.batches)

    def _update(self, update: int, updates: int) -> Tensor:
        """Turn the accumulated gradients into new weights, at the rates the schedule has for this update; returns their
        norm, which is still on the device."""
        recipe = self.recipe
        factor = rate_factor(
            update,
            updates,
            recipe.scheduler,
            warmup=warmup_updates(recipe.schedule.warmup_steps, recipe.schedule.warmup_share, updates),
            num_cycles=recipe.schedule.num_cycles,
            power=recipe.schedule.power,
            min_lr_ratio=recipe.schedule.min_lr_ratio,
        )
        for group, rate in zip(self.optimizer.param_groups, self.lrs, strict=True):
            group["lr"] = rate * factor
        self._add_up_gradients()
        self.scaler.unscale_(self.optimizer)
        if recipe.optimizer.max_grad_norm:
            norm = clip_grad_norm_(self.trained, recipe.optimizer.max_grad_norm)
        else:
            norm = get_total_norm([weight.grad for weight in self.trained if weight.grad is not None])
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if recipe.adapter.scale_weight_norms:
            self.adapter.scale_weight_norms(recipe.adapter.scale_weight_norms)
        return norm

    def _add_up_gradients(self) -> None:
        """Give every process the sum of all processes' gradients, in one message."""
        if self.world == ALONE:
            return
        for weight in self.trained:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        gradients = [weight.grad for weight in self.trained if weight.grad is not None]
        total = self.world.all_reduce_sum(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, part in zip(gradients, total.split([each.numel() for each in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def _asked_to_stop(self, asked: bool, done: int) -> bool:
        """Whether to stop here; several processes ask each other only now and then."""
        if self.world == ALONE:
            return asked
        return done % TOGETHER == 0 and self.world.any_true(asked, self.base.device)

    def _resume(self) -> int:
        """Put back the last state of this run and return the steps it had done; 0 if there is none."""
        state = load_state(self.state.path, self.state.digest)
        self.world.wait()  # until every process has read it
        if state is None:
            return 0
        with torch.no_grad():
            for weight, stored in zip(self.trained, state.parts["adapter"], strict=True):
                weight.copy_(stored)
        restore(self.optimizer, state.parts["optimizer"])
        self.scaler.load_state_dict(state.parts["scaler"])
        return state.step

    def _refuse_unsound(self, step: int) -> None:
        """See that every loss up to this step, and every weight, is finite."""
        self.log.weights(step, get_total_norm(self.trained))
        self.log.write()
        if not finite(self.trained):
            self.log.refuse_weights()

    def _save(self, step: int) -> None:
        """Write the state after `step`; the leader does."""
        if self.world.is_main_process:
            parts = {
                "adapter": self.trained,
                "optimizer": self.optimizer.state_dict(),
                "scaler": self.scaler.state_dict(),
            }
            save_state(self.state.path, State(step, parts), self.state.digest)


def part_rates(recipe: Recipe, encoders: int) -> dict[str, float]:
    """The learning rate of each part of the model that is adapted, by the names that `Adapter.groups` takes; one of rate 0
    is left out."""
    unet, text = recipe.lrs
    second = recipe.optimizer.text_encoder_2_lr
    rates = {"unet": unet}
    if recipe.trains_text_encoder:
        rates |= {"te": text} if encoders == 1 else {"te1": text, "te2": text if second is None else second}
    return {part: rate for part, rate in rates.items() if rate}
