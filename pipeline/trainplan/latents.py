"""Which latents a run caches, as a plan counts them: one for everything different that is shown of a picture or a twin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.manifest import Manifest
from pipeline.records import Image
from pipeline.twins import every_twin, twin_bucket

if TYPE_CHECKING:
    from train.recipe import Recipe
    from train.views import Picture, Seen

Size = tuple[int, int]
Twins = Mapping[str, Sequence[Mapping[str, Any]]]
"""Picture → its twins, as their decision has them."""


def used_twins(manifest: Manifest) -> Twins:
    """The twins that are trained on: all but those that `check` found to be copies of pictures to be trained on."""
    out = {path for path, row in manifest.decisions("keep").items() if not row.value}
    found = {
        path: [twin for twin in every_twin(row.value) if twin["path"] not in out]
        for path, row in manifest.decisions("twin").items()
    }
    return {path: twins for path, twins in found.items() if twins}


def twin_files(images: Sequence[Image], twins: Twins) -> int:
    """How many different regularization pictures go beside these: one that was made for a picture is its own, given ones
    go beside many."""
    return len({_name(image.path, twin) for image in images for twin in twins.get(image.path, ())})


def _name(path: str, twin: Mapping[str, Any]) -> str:
    return str(twin["path"]) if "bucket" in twin else f"{twin['path']} of {path}"


def cached_sizes(
    manifest: Manifest,
    images: Sequence[Image],
    buckets: Mapping[str, Mapping[str, Any]],
    captions: Mapping[str, str],
    twins: Twins,
    options: Recipe,
) -> tuple[Size, ...]:
    """(width, height) in pixels of every latent that these pictures, their views and their twins need.

    Args:
        buckets, captions: of the pictures, by path.
    """
    from train.dataset import seen_pictures
    from train.views import Picture, Seen, twin_view, views

    def seen(image: Image) -> Seen:
        picture = Picture(image.content, manifest.root, buckets[image.path])  # no file is opened
        return Seen(image.path, picture, captions[image.path])

    placed = {each.name: each for each in seen_pictures(manifest, options)}
    varied = bool(options.flip or options.color_jitter or options.random_crop or options.face_crop)
    found: dict[str, Size] = {}
    for image in images:
        one = placed.get(image.path) or seen(image)
        shown = views(one, options) if varied else ()
        beside = [_twin_picture(manifest, image.path, twin) for twin in twins.get(image.path, ())]
        found.update((each.key, each.size) for each in (one.picture, *shown, *beside))
        if varied:
            found.update((each.key, each.size) for twin in beside for view in shown for each in [twin_view(twin, view)])
    return tuple(found.values())


def _twin_picture(manifest: Manifest, path: str, twin: Mapping[str, Any]) -> Picture:
    """A twin by its name instead of its content, as it may not be made yet."""
    from train.views import Picture

    return Picture(_name(path, twin), manifest.root, twin_bucket(twin))
