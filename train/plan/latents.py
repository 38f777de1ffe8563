"""Which latents a run caches, as a plan counts them: one for everything different that is shown of an image or a
regularization image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline.store.manifest import Manifest
from pipeline.store.records import Image
from pipeline.store.values import read
from pipeline.store.values.bucket import Bucket
from pipeline.store.values.regularization import RegularizationImage

if TYPE_CHECKING:
    from train.data.augmentation import ImageView, Seen
    from train.data.options import DatasetOptions

Size = tuple[int, int]
RegImages = Mapping[str, Sequence[RegularizationImage]]
"""Image → its regularization images."""


def used_reg_images(manifest: Manifest) -> RegImages:
    """The regularization images that are trained on: all but those that `check` found to be copies of images to be trained on."""
    out = read.excluded(manifest)
    found = {
        path: [reg_image for reg_image in assigned.images if reg_image.path not in out]
        for path, assigned in read.regularization(manifest).items()
    }
    return {path: reg_images for path, reg_images in found.items() if reg_images}


def reg_image_files(images: Sequence[Image], reg_images: RegImages) -> int:
    """How many different regularization images go beside these: one that was made for an image is its own, given ones
    go beside many."""
    return len({_name(image.path, reg_image) for image in images for reg_image in reg_images.get(image.path, ())})


def _name(path: str, reg_image: RegularizationImage) -> str:
    return f"{reg_image.path} of {path}" if reg_image.bucket is None else reg_image.path


def cached_sizes(
    manifest: Manifest,
    images: Sequence[Image],
    buckets: Mapping[str, Bucket],
    captions: Mapping[str, str],
    reg_images: RegImages,
    options: DatasetOptions,
) -> tuple[Size, ...]:
    """(width, height) in pixels of every latent that these images, their views and their regularization images need.

    Args:
        buckets: of the images, by path.
        captions: of the images, by path.
    """
    from train.data.augmentation import ImageView, Seen, reg_image_view, views
    from train.data.caption_augmentation import caption_read
    from train.data.dataset import seen_images

    def seen(image: Image) -> Seen:
        view = ImageView(image.content, manifest.root, buckets[image.path])  # no file is opened
        return Seen(image.path, view, caption_read(captions[image.path], options.captions))

    placed = {each.name: each for each in seen_images(manifest, options)}
    varied = options.augmentation.any
    found: dict[str, Size] = {}
    for image in images:
        one = placed.get(image.path) or seen(image)
        shown = views(one, options.augmentation, options.seed) if varied else ()
        beside = [_reg_image_image(manifest, image.path, reg_image) for reg_image in reg_images.get(image.path, ())]
        found.update((each.key, each.size) for each in (one.image, *shown, *beside))
        if varied:
            found.update(
                (each.key, each.size)
                for reg_image in beside
                for view in shown
                for each in [reg_image_view(reg_image, view)]
            )
    return tuple(found.values())


def _reg_image_image(manifest: Manifest, path: str, reg_image: RegularizationImage) -> ImageView:
    """A regularization image by its name instead of its content, as it may not be made yet."""
    from train.data.augmentation import ImageView

    return ImageView(_name(path, reg_image), manifest.root, reg_image.cropping)
