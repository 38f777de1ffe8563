"""Regularization images for kohya-ss/sd-scripts: folders `N_a~b~c` whose numbers together come to as many exposures as
those of the images they go beside.

sd-scripts counts both: of regularization images it takes one after the other, each with its repeats, until there are as
many exposures as of images to be trained on; what comes later is never shown, and where there are fewer, each gets one
repeat more, from the first on, until it is even. So an image's repeats are shared among its regularization images and
rounded down.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pipeline.export.contents import ExportedRegImage, Sample
from pipeline.export.layouts.kohya_config import Subset
from pipeline.export.naming import CAPTION, Names
from pipeline.export.request import Crop, ExportedImage, Request, Text, Wanted

REGULARIZATION = "regularization"
Key = tuple[str, tuple[int, ...], tuple[int, ...]]
"""Path in the set, and what it is scaled to and cut to where files of crops are wanted."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What an export holds beside the images to be trained on."""

    files: tuple[Wanted, ...]
    subsets: tuple[Subset, ...]
    warnings: tuple[str, ...]


def lay_out_reg_images(samples: Sequence[Sample], request: Request, names: Names, keep: int | None) -> Beside:
    """The folders of regularization images, each image once however many it is shown beside.

    Args:
        keep: how many tags stay in front; the fewest trigger words of a folder's captions if not given.
    """
    files: list[Wanted] = []
    subsets = []
    counts = []
    for (folder, repeat), reg_images in sorted(_groups(samples, request).items()):
        place = names.folder(f"{REGULARIZATION}/{repeat}_{folder}")
        for reg_image in reg_images:
            files += _files(reg_image, place, request, names)
        front = min(reg_image.triggers for reg_image in reg_images) if keep is None else keep
        subsets.append(Subset(place, repeat, front, None, is_regularization=True))
        counts.append((repeat, len(reg_images)))
    return Beside(tuple(files), tuple(subsets), tuple(_notes(samples, counts)))


def _groups(samples: Sequence[Sample], request: Request) -> dict[tuple[str, int], list[ExportedRegImage]]:
    """(folder in the set, repeat) → the images there that are shown so often, in order of path."""
    found: dict[Key, ExportedRegImage] = {}
    exposures: dict[Key, Fraction] = {}
    for sample in samples:
        for reg_image in sample.reg_images:
            key = _key(reg_image, request)
            found.setdefault(key, reg_image)
            exposures[key] = exposures.get(key, Fraction(0)) + Fraction(sample.repeat, len(sample.reg_images))
    groups: dict[tuple[str, int], list[ExportedRegImage]] = {}
    for key in sorted(found):
        folder = key[0].split("/")[-2]
        groups.setdefault((folder, max(1, int(exposures[key]))), []).append(found[key])
    return groups


def _key(reg_image: ExportedRegImage, request: Request) -> Key:
    if reg_image.bucket is None or not request.crops:
        return reg_image.path, (), ()
    return reg_image.path, reg_image.bucket.scaled, reg_image.bucket.crop


def _files(reg_image: ExportedRegImage, folder: str, request: Request, names: Names) -> Iterator[Wanted]:
    """An image as it is or as its crop, and its caption."""
    stem, _, extension = reg_image.path.rpartition("/")[2].rpartition(".")
    source = request.source(reg_image.path)
    if request.crops and reg_image.bucket is not None:
        width, height = reg_image.bucket.size
        path = names.file(folder, f"{stem}-{width}x{height}", ".png", CAPTION)
        yield Crop(f"{path}.png", source, reg_image.stamp, reg_image.bucket)
    else:
        path = names.file(folder, stem, f".{extension}", CAPTION)
        yield ExportedImage(f"{path}.{extension}", source, reg_image.stamp)
    if reg_image.caption:
        yield Text(path + CAPTION, f"{reg_image.caption}\n".encode())


def _notes(samples: Sequence[Sample], counts: Sequence[tuple[int, int]]) -> Iterator[str]:
    """Sentences on what sd-scripts makes of these; `counts` are (repeat, images) of the folders in their order."""
    bare = sum(not sample.reg_images for sample in samples)
    if 0 < bare < len(samples):
        yield (
            f"{len(samples) - bare} of {len(samples)} images have a regularization image; sd-scripts shows those more "
            "often, until there are as many of both"
        )
    unused = _unused(sum(sample.repeat for sample in samples), counts)
    if unused:
        yield (
            f"regularization images that sd-scripts never shows, as it stops when there are as many exposures as of "
            f"images to be trained on: {unused} of {sum(count for _, count in counts)}; prep train shows all of them in turn"
        )


def _unused(wanted: int, counts: Sequence[tuple[int, int]]) -> int:
    """How many images are left over once there are enough exposures."""
    left = wanted
    unused = 0
    for repeat, count in counts:
        used = min(count, max(0, -(-left // repeat)))
        unused += count - used
        left -= used * repeat
    return unused
