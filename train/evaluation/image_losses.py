"""The loss of every image of a set over a grid of timesteps and noises, without and with an adapter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from train.adapters.adapter import Adapter
from train.data.dataset import Example
from train.data.latent_cache import LatentCache
from train.evaluation.outliers import ImageLoss
from train.evaluation.validation import Evaluator, at_rest, conditioner, even_grid, plain_caption
from train.models.base import BaseModel
from train.models.noise_schedule import training_alphas_cumprod
from train.models.precision import DTYPES, lower
from train.optimization.precision import vae_dtype
from train.options.recipe import Recipe
from train.session import attach_adapter, base_of

ProgressCallback = Callable[[str, int, int], None]


def losses_of_set(
    root: Path,
    examples: Sequence[Example],
    recipe: Recipe,
    adapter_file: Path | None,
    device: str,
    *,
    times: int,
    noises: int,
    progress: ProgressCallback,
) -> tuple[ImageLoss, ...]:
    """Load the recipe's base model, hang the adapter of a file on it, if one is given, and look at every image.

    Raises:
        PrepError: the base model or the adapter cannot be had, an image cannot be read, or a loss is not finite.
    """
    base = base_of(recipe, device)
    adapter = None if adapter_file is None else attach_adapter(base, adapter_file)
    latents = LatentCache(root / "cache" / "latents", base, vae_dtype(recipe, base.device))
    latents.fill([example.image for example in examples], progress)
    levels = training_alphas_cumprod(
        base.alphas_cumprod.to(base.device), base.prediction, recipe.noise.zero_terminal_snr
    )
    try:
        return losses_per_image(
            base, adapter, examples, latents, levels, recipe, times=times, noises=noises, progress=progress
        )
    finally:
        if adapter is not None:
            adapter.detach()


def losses_per_image(
    base: BaseModel,
    adapter: Adapter | None,
    examples: Sequence[Example],
    latents: LatentCache,
    levels: Tensor,
    recipe: Recipe,
    *,
    times: int,
    noises: int,
    progress: ProgressCallback,
) -> tuple[ImageLoss, ...]:
    """The mean loss of every image at `times` evenly spread timesteps with `noises` noises each, in the order given.

    The grid is that of `train/validation.py`: plain mean squares, the same noises without the adapter and with it. On a
    GPU the arithmetic, and the base model's weights, are of the recipe's precision. An adapter must be hung; its strength
    is 1 afterwards.

    Args:
        levels: (T,) alpha-bar of every timestep, on the base model's device.
    Raises:
        PrepError: a loss is not finite; the images are named.
    """
    dtype = DTYPES[recipe.precision.mixed_precision] if base.device.type == "cuda" else torch.float32
    lower(base.unet, dtype)
    grid = even_grid(times, noises, recipe.run.seed, len(levels))
    captions = [plain_caption(example, recipe) for example in examples]
    looker = Evaluator(base, latents, levels, conditioner(base, recipe), recipe.text.max_tokens, dtype)

    def losses(what: str) -> list[float]:
        found = looker.losses(examples, captions, grid, lambda done, total: progress(what, done, total))
        return [float(loss) for loss in found.double().mean((1, 2))]

    keys = [example.entry.key for example in examples]
    if adapter is None:
        with at_rest(base.unet, *base.text_encoders):
            return tuple(map(ImageLoss, keys, losses("looking with the base model")))
    try:
        with at_rest(base.unet, *base.text_encoders, adapter):
            adapter.set_strength(0.0)
            without = losses("looking with the base model")
            adapter.set_strength(1.0)
            return tuple(map(ImageLoss, keys, without, losses("looking with the adapter")))
    finally:
        adapter.set_strength(1.0)
