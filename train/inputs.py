"""What one step shows the UNet: latents, noise and timesteps, each drawn for its picture alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from train.batches import Batch
from train.draws import normal, rng
from train.latents import LatentCache
from train.noise import drawn_noise
from train.recipe import Recipe

Key = tuple[str, int, int, int, str]


@dataclass(frozen=True, slots=True)
class Inputs:
    """Samples of one step on the CPU: the batch's pictures, then the twins of the examples that `twins` counts.

    `clean`, `noise` (to be predicted) and `mixed` (mixed in; the same tensor unless it is perturbed) are (B, C, h, w),
    `times` (B,). `keyed` has the key of every draw of an example, which its twin shares.
    """

    keyed: list[Key]
    twins: list[int]
    clean: Tensor
    noise: Tensor
    mixed: Tensor
    times: Tensor


def draw_inputs(batch: Batch, recipe: Recipe, latents: LatentCache, timesteps: int) -> Inputs:
    """Draw a step's samples: a pure function of the batch's place in the run, its pictures and the recipe."""
    keyed = [("sample", recipe.seed, batch.epoch, batch.step, name) for name in showings_of(batch)]
    rows = list(enumerate(batch.examples))
    twins = [row for row, example in rows if example.twin is not None and recipe.prior_loss_weight > 0]
    shown = [(row, example.picture) for row, example in rows]
    shown += [(row, twin) for row in twins if (twin := batch.examples[row].twin) is not None]
    clean, drawn, times = [], [], []
    for place, (row, picture) in enumerate(shown):
        latent = latents.read(picture)
        spread = latent.spread * normal(tuple(latent.mean.shape), *keyed[row], place, "latent")
        clean.append(latent.mean + spread)
        drawn.append(drawn_noise(clean[-1], recipe, *keyed[row]))
        times.append(int(rng(*keyed[row], "timestep").integers(0, timesteps)))
    noise = torch.stack([wanted for wanted, _ in drawn])
    mixed = torch.stack([fed for _, fed in drawn]) if recipe.input_perturbation else noise
    return Inputs(keyed, twins, torch.stack(clean), noise, mixed, torch.tensor(times))


def showings_of(batch: Batch) -> list[str]:
    """A name for each showing in a batch: the picture's key, and for one that stands there again also which time it is,
    so that it gets other draws."""
    keys = [example.entry.key for example in batch.examples]
    return [f"{key} again {again}" if (again := keys[:place].count(key)) else key for place, key in enumerate(keys)]
