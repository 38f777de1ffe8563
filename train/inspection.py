"""What a base model or an adapter makes of a set's images, without training: their losses, and latents that are not theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from pipeline.store.manifest import Manifest
from train.adapters.adapter import attach_adapter
from train.data.dataset import Example, examples, views_to_cache
from train.data.latent_cache import ImageView, LatentCache
from train.data.latent_check import of_other_pixels
from train.evaluation.image_losses import losses_per_image
from train.evaluation.outliers import ImageLoss
from train.evaluation.validation import TOGETHER, even_grid
from train.models.load import base_of
from train.models.precision import DTYPES, keeping_of
from train.models.sampling.noise_schedule import training_alphas_cumprod
from train.optimization.precision import vae_dtype
from train.options.recipe import Recipe
from train.plan.fit_generation import decide_generation, here
from train.plan.memory import largest
from train.session import evaluator

ProgressCallback = Callable[[str, int, int], None]


def losses_of_set(
    root: Path,
    examples: Sequence[Example],
    recipe: Recipe,
    adapter_file: Path | None,
    *,
    times: int,
    noise_samples: int,
    progress: ProgressCallback,
) -> tuple[ImageLoss, ...]:
    """Load the recipe's base model, attach the adapter of a file to it, if one is given, and measure every image at `times`
    evenly spread timesteps with `noise_samples` each. On a GPU the arithmetic is of the recipe's precision.

    Raises:
        PrepError: the base model or the adapter cannot be had, an image cannot be read, or a loss is not finite.
    """
    size = largest(example.image.size for example in examples)
    precision = decide_generation(
        here(recipe.precision, recipe.run.device), recipe.model, recipe.run.device, size, TOGETHER
    )
    base = base_of(recipe.model, recipe.run.device, keeping_of(precision.options))
    adapter = None if adapter_file is None else attach_adapter(base, adapter_file)
    latents = LatentCache(root / "cache" / "latents", base, vae_dtype(precision.options, base.device))
    latents.fill([example.image for example in examples], progress)
    alphas_cumprod = training_alphas_cumprod(
        base.alphas_cumprod.to(base.device), base.prediction, recipe.noise.zero_terminal_snr
    )
    dtype = base.keeping.unet.computed
    evaluation, grid = (
        evaluator(recipe, base, latents, alphas_cumprod, dtype),
        even_grid(times, noise_samples, recipe.run.seed, len(alphas_cumprod)),
    )
    try:
        return losses_per_image(evaluation, adapter, examples, recipe.captions, grid, progress)
    finally:
        if adapter is not None:
            adapter.detach()


def other_pixels(
    manifest: Manifest, recipe: Recipe, progress: ProgressCallback
) -> Iterator[tuple[ImageView, Path, float]]:
    """(view, its latent's file, how far that is off) of every cached latent that a recipe would use and that is of other pixels
    than its image has (`of_other_pixels`), in each precision that was used with the recipe's VAE.

    Raises:
        PrepError: the base model cannot be had, or the set is not prepared.
    """
    images = views_to_cache(examples(manifest, recipe.dataset))
    size = largest(image.size for image in images)
    precision = decide_generation(here(recipe.precision, recipe.run.device), recipe.model, recipe.run.device, size)
    base = base_of(recipe.model, recipe.run.device, keeping_of(precision.options))
    folder = manifest.root / "cache" / "latents"
    for dtype in dict.fromkeys(DTYPES.values()):
        cache = LatentCache(folder, base, dtype, writes=False)
        what = f"encoding again, {str(dtype).removeprefix('torch.')}"
        for image, off in of_other_pixels(cache, images, partial(progress, what)):
            yield image, cache.file(image), off
