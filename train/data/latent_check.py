"""Cached latents held against the images they are said to be of, encoded anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from pipeline.core.decoding.image_io import UnreadableImage
from train.data.augmentation import ImageView
from train.data.latent_cache import LatentCache
from train.data.latent_files import Damaged, read_latent

OTHER = 0.25
"""Mean difference of two latents, in parts of the spread of the right one, from which they are of different pixels. Another
device or precision makes less than a hundredth, another image about one."""


def of_other_pixels(
    cache: LatentCache, images: Sequence[ImageView], progress: Callable[[int, int], None]
) -> Iterator[tuple[ImageView, float]]:
    """The views whose cached latent is not what the VAE makes of them, with how far it is off (`OTHER`). Those that are not
    cached, damaged, or whose image cannot be read, are none of them."""
    distinct = list({cache.name(image): image for image in images if cache.file(image).is_file()}.values())
    for done, image in enumerate(distinct, 1):
        off = _off(cache, image)
        if off is not None and off > OTHER:
            yield image, off
        progress(done, len(distinct))


def _off(cache: LatentCache, image: ImageView) -> float | None:
    try:
        mean, _ = read_latent(cache.file(image), cache.shape(image), check=True)
        right, _ = cache.encoded(image)
    except (Damaged, UnreadableImage):
        return None
    difference = (torch.from_numpy(mean) - right).abs().mean()
    return float(difference / right.std().clamp_min(1e-6))
