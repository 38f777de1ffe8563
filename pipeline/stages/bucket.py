"""Give every kept picture the training size nearest to its aspect ratio.

Sizes have about the area of the resolution squared and sides in multiples of the step. Scale and crop are stored per
picture, with the part of it that the crop cuts away, and are exactly what is trained on.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import fmean

from pipeline.errors import PrepError
from pipeline.ladder import Fit, Rule, Size, choose, fit, fit_without_enlarging, ladder, sides
from pipeline.manifest import Manifest
from pipeline.records import Decision, Image, Plan

NAME = "bucket"
READS: tuple[str, ...] = ("images", "keep")
LARGE_LOSS = 0.2
LARGE_SCALE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    resolution: int = 512
    """Side in pixels of the square whose area the sizes have: 512 or 768 for SD 1 and 2, 1024 for SDXL."""
    step: int = 64
    """Sides are multiples of this many pixels."""
    min_side: int | None = None
    """Shortest side in pixels; half the resolution if not given."""
    max_side: int | None = None
    """Longest side in pixels; twice the resolution if not given."""
    rule: Rule = "nearest"
    """How a size is chosen: nearest aspect ratio, or as kohya's sd-scripts choose it."""
    enlarge: bool = True
    """Enlarge small pictures to the area; without it they get sizes of their own."""
    batch_size: int = 1
    """Pictures per training batch, to warn of sizes that cannot fill one."""

    def __post_init__(self) -> None:
        if self.step < 8 or self.step % 8:
            raise PrepError(f"step is {self.step}", "give a multiple of 8, a latent pixel's side; 64 is usual")
        if self.resolution < self.step:
            raise PrepError(
                f"resolution is {self.resolution}, below the step of {self.step}",
                "give a larger resolution or a smaller step",
            )
        if self.min_side is not None and not 1 <= self.min_side <= self.resolution:
            raise PrepError(f"min_side is {self.min_side}", f"give 1 to the resolution, {self.resolution}")
        if self.max_side is not None and self.max_side < self.resolution:
            raise PrepError(
                f"max_side is {self.max_side}, below the resolution of {self.resolution}",
                f"give {self.resolution * 2}, so that long pictures keep their area",
            )
        if self.batch_size < 1:
            raise PrepError(f"batch_size is {self.batch_size}", "give 1 or more")


def plan(manifest: Manifest, options: Options) -> Plan:
    """One size for every kept picture."""
    measured = manifest.measurements()
    kept = manifest.kept()
    unknown = [image.path for image in kept if not (image.content in measured and measured[image.content].width)]
    if unknown:
        raise PrepError(
            f"{len(unknown)} pictures were not measured, such as {unknown[0]}", f"run: prep check {manifest.root}"
        )
    buckets = _buckets(options)
    fits: list[tuple[Image, Size, Fit]] = []
    for image in kept:
        size = measured[image.content].width, measured[image.content].height
        found = (
            fit(size, choose(size, buckets, options.rule))
            if options.enlarge
            else fit_without_enlarging(size, options.resolution**2, options.step)
        )
        fits.append((image, size, found))
    decisions = tuple(_decision(image, size, found) for image, size, found in fits)
    return Plan(NAME, ("bucket",), decisions, notes=tuple(_notes(fits, options)), table=tuple(_table(fits)))


def _buckets(options: Options) -> tuple[Size, ...]:
    shortest, longest = sides(options.resolution, options.step, options.min_side, options.max_side)
    return ladder(options.resolution**2, options.step, shortest, longest)


def _scale(size: Size, found: Fit) -> float:
    return max(found.scaled[0] / size[0], found.scaled[1] / size[1])


def _decision(image: Image, size: Size, found: Fit) -> Decision:
    scale = _scale(size, found)
    reason = "size as it is" if found.scaled == size else "reduced" if scale <= 1 else "enlarged"
    reason += " and cropped" if found.loss > 0 else ""
    evidence = f"{size[0]}×{size[1]} at {scale:.3g} to {found.size[0]}×{found.size[1]}, {found.loss:.1%} cut away"
    value = {
        "size": list(found.size),
        "scaled": list(found.scaled),
        "crop": list(found.crop),
        "loss": round(found.loss, 6),
    }
    return Decision(image.path, "bucket", value, reason, evidence)


def _table(fits: list[tuple[Image, Size, Fit]]) -> list[dict[str, object]]:
    """One row per size, with how many pictures it has and how much of them the crop cuts away on average."""
    losses: dict[Size, list[float]] = {}
    for _, _, found in fits:
        losses.setdefault(found.size, []).append(found.loss)
    return [
        {"bucket": list(size), "pictures": len(losses[size]), "cut away": f"{fmean(losses[size]):.1%}"}
        for size in sorted(losses)
    ]


def _notes(fits: list[tuple[Image, Size, Fit]], options: Options) -> list[str]:
    if not fits:
        return ["no picture is kept, so there is nothing to give a size to"]
    notes = []
    counts = Counter(found.size for _, _, found in fits)
    for size in sorted(counts):
        if counts[size] < options.batch_size:
            first = next(image.path for image, _, found in fits if found.size == size)
            notes.append(
                f"{size[0]}×{size[1]} has {counts[size]} of the {options.batch_size} pictures of a batch, "
                f"such as {first}"
            )
    cut = [(found.loss, image.path) for image, _, found in fits if found.loss > LARGE_LOSS]
    if cut:
        worst = max(cut)
        notes.append(
            f"{len(cut)} of {len(fits)} pictures lose more than {LARGE_LOSS:.0%} to the crop, "
            f"most of all {worst[1]} ({worst[0]:.0%})"
        )
    large = [(_scale(size, found), image.path) for image, size, found in fits if _scale(size, found) > LARGE_SCALE]
    if large:
        most = max(large)
        notes.append(
            f"{len(large)} of {len(fits)} pictures are enlarged more than {LARGE_SCALE:g} times, "
            f"most of all {most[1]} ({most[0]:.1f} times)"
        )
    return notes
