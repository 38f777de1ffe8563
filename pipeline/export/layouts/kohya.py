"""kohya-ss/sd-scripts: folders called `N_a~b~c`, captions beside the images, and a dataset.toml.

sd-scripts shows what is in a folder as often as the whole number before the first underscore says, and leaves out
folders without one. Its dataset file says the same again, and how the set's sizes were chosen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pipeline.core.filenames import flat
from pipeline.export.contents import Contents, Sample
from pipeline.export.layouts.kohya_config import Subset, dataset_toml
from pipeline.export.layouts.kohya_regularization import lay_out_reg_images
from pipeline.export.naming import CAPTION, Names
from pipeline.export.request import Layout, Request, Text, Wanted
from pipeline.images.buckets.buckets import bucket_list, choose, fit, fit_without_enlarging, sides

TRAIN = "train"
READ = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp"))
"""Extensions that sd-scripts reads without more to install."""


def lay_out(
    contents: Contents, request: Request, bucket: Mapping[str, Any] | None, shuffle: bool, keep: int | None
) -> Layout:
    """The files for sd-scripts.

    Args:
        bucket: the options that `prep bucket` last ran with, None if it never did.
        shuffle: whether captions are shuffled in training.
        keep: how many tags stay in front then; each folder's trigger words if not given.
    """
    names = Names()
    files: list[Wanted] = []
    subsets: list[Subset] = []
    table = []
    groups = list(_groups(contents.samples))
    folders = [names.folder(f"{TRAIN}/{repeat}_{flat(concept)}") for concept, repeat, _ in groups]
    for (concept, repeat, samples), folder in zip(groups, folders, strict=True):
        subset = Subset(folder, repeat, _kept_tokens(samples, keep), _class_tokens(concept, samples))
        subsets.append(subset)
        _write_group(files, names, request, folder, samples)
        table.append({"folder": folder, "images": len(samples), "repeat": repeat, "keep_tokens": subset.keep_tokens})
    beside = lay_out_reg_images(contents.samples, request, names, keep)
    files += beside.files
    config = dataset_toml(request.folder, bucket, shuffle, [*subsets, *beside.subsets])
    files.append(Text("dataset.toml", config.encode()))
    warnings = [
        *names.warnings(),
        *_notes(contents, request, groups, keep),
        *beside.warnings,
        *_notes_on_sizes(contents, request, bucket),
    ]
    return Layout(tuple(sorted(files, key=lambda file: file.path)), tuple(warnings), tuple(table))


def _groups(samples: Iterable[Sample]) -> Iterator[tuple[str, int, list[Sample]]]:
    """(concept, repeat, its images): different repeats within one concept are different folders."""
    found: dict[tuple[str, int], list[Sample]] = {}
    for sample in samples:
        found.setdefault((sample.image.concept, sample.repeat), []).append(sample)
    for concept, repeat in sorted(found):
        yield concept, repeat, found[concept, repeat]


def _write_group(files: list[Wanted], names: Names, request: Request, folder: str, samples: list[Sample]) -> None:
    """Add the files of one folder."""
    for sample in samples:
        path = names.file(folder, sample.stem, sample.extension_in(request), CAPTION)
        files.append(sample.exported(path, request))
        if sample.caption:
            files.append(Text(path + CAPTION, f"{sample.caption}\n".encode()))


def _kept_tokens(samples: list[Sample], keep: int | None) -> int:
    """How many tags in front are not shuffled: the fewest trigger words that a caption of the folder begins with."""
    if keep is not None:
        return keep
    return min((sample.triggers for sample in samples if sample.caption), default=0)


def _class_tokens(concept: str, samples: list[Sample]) -> str | None:
    """What stands in for captions that are not there; sd-scripts refuses an image that has neither."""
    return concept.rpartition("/")[2] if any(sample.caption is None for sample in samples) else None


# --- what a person should know


def _notes(
    contents: Contents, request: Request, groups: list[tuple[str, int, list[Sample]]], keep: int | None
) -> Iterator[str]:
    if any(sample.caption is None for sample in contents.samples):
        yield "sd-scripts takes the name of the concept where there is no caption (class_tokens in dataset.toml)"
    lines = [sample.image.path for sample in contents.samples if sample.caption and "\n" in sample.caption]
    if lines:
        yield f"captions of several lines, of which sd-scripts reads the first: {len(lines)}, such as {lines[0]}"
    mixed = [
        f"{concept} ({', '.join(str(count) for count in sorted(counts))})"
        for concept, _, samples in groups
        if len(counts := {sample.triggers for sample in samples if sample.caption}) > 1
    ]
    if mixed and keep is None:
        more = " …" if len(mixed) > 5 else ""
        yield f"captions begin with differently many trigger words, the fewest are kept: {', '.join(mixed[:5])}{more}"
    split = Counter(concept for concept, _, _ in groups)
    divided = [concept for concept, folders in split.items() if folders > 1]
    if divided:
        yield f"concepts whose images have different repeats, a folder for each: {len(divided)}, such as {divided[0]}"
    if not request.crops:
        yield from _notes_on_files(contents)


def _notes_on_files(contents: Contents) -> Iterator[str]:
    unread = [sample.image.path for sample in contents.samples if sample.extension not in READ]
    if unread:
        yield (
            f"images of a kind that sd-scripts does not read: {len(unread)}, such as {unread[0]}; --resize writes "
            "them as PNG"
        )
    clear = sum(sample.transparent for sample in contents.samples)
    if clear:
        yield (
            f"transparent images, whose hidden colours sd-scripts would show: {clear}; --resize puts in the background"
        )
    turned = sum(sample.rotated for sample in contents.samples)
    if turned:
        yield f"images turned by EXIF, which sd-scripts does not turn: {turned}; --resize turns them"


def _notes_on_sizes(contents: Contents, request: Request, bucket: Mapping[str, Any] | None) -> Iterator[str]:
    if bucket is None:
        yield (
            f"prep bucket never ran, so dataset.toml names no resolution: run prep bucket {request.root}, or give "
            "sd-scripts --resolution"
        )
        return
    if bucket["bucket_reso_steps"] % 32:
        yield f"the step of {bucket['bucket_reso_steps']} is refused by sd-scripts, which wants 64, or 32 for SDXL"
    other = 0 if request.crops else _cut_otherwise(contents.samples, bucket)
    if other:
        yield (
            f"images that sd-scripts would scale or crop otherwise than decided here: {other} of "
            f"{len(contents.samples)}; --resize writes the exact crops"
        )


def _cut_otherwise(samples: Iterable[Sample], bucket: Mapping[str, Any]) -> int:
    """How many images sd-scripts would give another size or another crop than the set does."""
    resolution, step = bucket["resolution"], bucket["bucket_reso_steps"]
    buckets = bucket_list(
        resolution**2, step, *sides(resolution, step, bucket["min_bucket_reso"], bucket["max_bucket_reso"])
    )
    theirs: dict[tuple[int, int], tuple[Any, Any]] = {}
    count = 0
    for sample in samples:
        if sample.size is None or sample.bucket is None:
            continue
        if sample.size not in theirs:
            found = (
                fit(sample.size, choose(sample.size, buckets, "kohya"))
                if bucket["upscale"]
                else fit_without_enlarging(sample.size, resolution**2, step)
            )
            theirs[sample.size] = (found.scaled, found.crop)
        ours = sample.bucket.scaled, sample.bucket.crop
        count += ours != theirs[sample.size]
    return count
