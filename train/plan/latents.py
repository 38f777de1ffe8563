"""Which latents a run needs, and how many of them are cached already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from train.data.dataset import views_to_cache
from train.data.latent_files import Needed, needed, precision_of, vaes
from train.evaluation.split import SplitDataset

if TYPE_CHECKING:
    from train.models.shapes import BaseShapes
    from train.options.recipe import Recipe

Size = tuple[int, int]
AUTO = ("float16", "float32")
"""What vae_precision = "auto" may come to, on a GPU and elsewhere."""
PRECISIONS = {"fp32": ("float32",), "fp16": ("float16",), "bf16": ("bfloat16",)}


@dataclass(frozen=True, slots=True)
class PlannedLatents:
    """`sizes` are the (width, height) in pixels of everything that is to be cached, `cached` is how many are there already;
    None where the base model is not known, and the most there can be where `several` VAEs were used with it. `missing` are
    the sizes of those that are not."""

    sizes: tuple[Size, ...]
    cached: int | None
    several: bool = False
    missing: tuple[Size, ...] = ()

    def __str__(self) -> str:
        if self.cached is None:
            return f"latents: {len(self.sizes)} are needed"
        up_to = "up to " if self.several and self.cached else ""
        return f"latents: {len(self.sizes)} are needed, {up_to}{self.cached} of them are cached already"


def planned_latents(root: Path, split: SplitDataset, recipe: Recipe, base: BaseShapes | None) -> PlannedLatents:
    """The latents of everything that a run may show or measure, by the names that the cache has for them. Which VAE made
    those that are there is what the cache notes of it, as no model is loaded."""
    views = views_to_cache(split.every())
    distinct = _distinct(split)
    if base is None:
        return PlannedLatents(distinct, None, missing=distinct)
    folder = root / "cache" / "latents"
    found = [needed(folder, views, vae, base.factor, base.latent_channels) for vae in _labels(folder, recipe)]
    if not found:
        return PlannedLatents(distinct, 0, missing=distinct)
    sizes, fullest = tuple(view.size for view in found[0].views.values()), max(found, key=_cached)
    missing = tuple(view.size for view in fullest.missing.values())
    return PlannedLatents(sizes, _cached(fullest), len(found) > 1, missing)


def _distinct(split: SplitDataset) -> tuple[Size, ...]:
    return tuple({view.key: view.size for view in views_to_cache(split.every())}.values())


def _cached(found: Needed) -> int:
    return len(found.views) - len(found.missing)


def _labels(folder: Path, recipe: Recipe) -> Sequence[str]:
    """The VAEs that were used with the recipe's base model in a precision that the recipe allows."""
    precision = recipe.precision
    auto = ("float32",) if precision.mixed_precision == "no" else AUTO
    allowed = auto if precision.vae_precision == "auto" else PRECISIONS[precision.vae_precision]
    return [vae for vae, bases in vaes(folder).items() if recipe.model.base in bases and precision_of(vae) in allowed]
