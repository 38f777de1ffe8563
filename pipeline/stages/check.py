"""Judge every picture: readable, large enough, sharp, and not a copy of another.

Nothing is deleted: every picture gets a verdict with its reason, and another threshold judges anew without reading
a pixel again. Of equal and nearly equal pictures one is kept and the others name it.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from pipeline.errors import PrepError
from pipeline.manifest import Manifest
from pipeline.records import Decision, Image, Measurement, Plan
from pipeline.stage import Progress

NAME = "check"
READS: tuple[str, ...] = ("images",)
BATCH = 64
MAX_ASPECT_DIFFERENCE = 1.05
"""Pictures whose aspect ratios differ by more than this are never near-duplicates: one is a crop of the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    min_side: int = 64
    """Shorter side in pixels below which a picture is too small."""
    max_aspect: float = 4.0
    """Longer side over shorter side above which a picture is too long."""
    min_sharpness: float = 5.0
    """Variance of the Laplacian, at 256 pixels, below which a picture is blurry; line art has hundreds, a soft
    watercolour 8 or more."""
    min_contrast: float = 4.0
    """Standard deviation of grey (0 to 127) below which a picture is flat, showing next to nothing."""
    duplicate_distance: int = 3
    """Bits out of 64 in which the perceptual hashes of near-duplicates differ at most; -1 keeps near-duplicates."""
    duplicates_within: Literal["set", "concept"] = "set"
    """Look for copies in the whole set, or only within each concept."""
    keep: tuple[str, ...] = ()
    """Path in the set, or pattern such as images/Mihari/*, to keep whatever is measured, if it can be read."""
    drop: tuple[str, ...] = ()
    """Path in the set, or pattern, to leave out."""

    def __post_init__(self) -> None:
        if self.min_side < 1:
            raise PrepError(f"min_side is {self.min_side}", "give 1 or more pixels")
        if self.max_aspect < 1:
            raise PrepError(f"max_aspect is {self.max_aspect}", "longer over shorter side is never below 1")
        if self.min_sharpness < 0 or self.min_contrast < 0:
            raise PrepError(
                f"min_sharpness is {self.min_sharpness}, min_contrast is {self.min_contrast}", "give 0 or more"
            )
        if not -1 <= self.duplicate_distance <= 32:
            raise PrepError(
                f"duplicate_distance is {self.duplicate_distance}", "give -1 to 32 bits; 3 is strict, 8 is loose"
            )


def observe(manifest: Manifest, options: Options) -> str:
    """Which pictures are not where they should be."""
    return "\n".join(sorted(_missing(manifest)))


def measure(manifest: Manifest, options: Options, progress: Progress) -> None:
    """Measure every content that was not measured yet; a batch that is done stays done."""
    from pipeline.images import UnreadableImage
    from pipeline.measurement import measure_picture

    known, missing = manifest.measurements(), _missing(manifest)
    todo = list(
        {
            image.content: image
            for image in manifest.images()
            if image.content not in known and image.path not in missing
        }.values()
    )

    def one(image: Image) -> Measurement | None:
        try:
            return measure_picture(manifest.root / image.path, image.content)
        except UnreadableImage:
            return None

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        for start in range(0, len(todo), BATCH):
            batch = todo[start : start + BATCH]
            found = [each for each in threads.map(one, batch) if each is not None]
            with manifest.transaction():
                manifest.put_measurements(found)
            progress("measuring", start + len(batch), len(todo))


def plan(manifest: Manifest, options: Options) -> Plan:
    """One verdict for every picture, with the figures behind it."""
    measured, missing = manifest.measurements(), _missing(manifest)
    images = manifest.images()
    verdicts: dict[str, Decision] = {}
    for image in images:
        found = None if image.path in missing else measured.get(image.content)
        verdicts[image.path] = _judge(image, found, options)
    standing = [image for image in images if verdicts[image.path].value]
    for loser, keeper, reason, evidence in _copies(standing, measured, options):
        if not _chosen(loser.path, options.keep):
            verdicts[loser.path] = Decision(loser.path, "keep", False, reason, f"{evidence} {keeper.path}")
    return Plan(NAME, ("keep",), tuple(verdicts.values()), notes=tuple(_notes(images, verdicts, options)))


def _missing(manifest: Manifest) -> set[str]:
    """Pictures of the record that are not on disk."""
    folders: dict[str, set[str]] = {}
    missing = set()
    for image in manifest.images():
        folder, _, name = image.path.rpartition("/")
        if folder not in folders:
            try:
                folders[folder] = {entry.name for entry in (manifest.root / folder).iterdir()}
            except OSError:
                folders[folder] = set()
        if name not in folders[folder]:
            missing.add(image.path)
    return missing


def _judge(image: Image, found: Measurement | None, options: Options) -> Decision:
    """The verdict on a picture by itself."""

    def verdict(keep: bool, reason: str, evidence: str) -> Decision:
        return Decision(image.path, "keep", keep, reason, evidence)

    if found is None:
        return verdict(False, "missing", "not in the set's folder, or not allowed to be read")
    if found.problem:
        return verdict(False, "unreadable", found.problem)
    size = f"{found.width}×{found.height}"
    short, long = sorted((found.width, found.height))
    if _chosen(image.path, options.drop):
        return verdict(False, "left out by you", size)
    if _chosen(image.path, options.keep):
        return verdict(True, "kept by you", size)
    if short < options.min_side:
        return verdict(False, "too small", f"{size}, shorter side below {options.min_side}")
    if long / short > options.max_aspect:
        return verdict(False, "too long", f"{size}, aspect {long / short:.2f} > {options.max_aspect:g}")
    if found.contrast < options.min_contrast:
        return verdict(False, "flat", f"contrast {found.contrast:.1f} < {options.min_contrast:g}")
    if found.sharpness < options.min_sharpness:
        return verdict(False, "blurry", f"sharpness {found.sharpness:.1f} < {options.min_sharpness:g}")
    figures = f"{size}, sharpness {found.sharpness:.0f}, contrast {found.contrast:.0f}"
    if found.frames > 1:
        return verdict(True, "several frames, first taken", f"{found.frames} frames, {figures}")
    if found.transparent:
        return verdict(True, "transparent, put on white", figures)
    return verdict(True, "turned by EXIF" if found.rotated else "good", figures)


def _chosen(path: str, patterns: Iterable[str]) -> bool:
    """Whether a person named the path, as it is or by a pattern; brackets in a real name are no pattern."""
    return any(path == pattern or fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def _copies(
    images: list[Image], measured: dict[str, Measurement], options: Options
) -> list[tuple[Image, Image, str, str]]:
    """(loser, keeper, reason, evidence) for equal pictures first, then for nearly equal ones among the rest."""
    groups: dict[str, list[Image]] = {}
    for image in images:
        groups.setdefault(image.concept if options.duplicates_within == "concept" else "", []).append(image)
    found = []
    for group in groups.values():
        first: dict[str, Image] = {}
        for image in group:
            keeper = first.setdefault(image.content, image)
            if keeper is not image:
                found.append((image, keeper, "duplicate", "same content as"))
        if options.duplicate_distance >= 0:
            found += _near(list(first.values()), measured, options)
    return found


def _near(
    images: list[Image], measured: dict[str, Measurement], options: Options
) -> list[tuple[Image, Image, str, str]]:
    """Near-duplicates: the larger, then sharper picture is kept, and each loser is near its keeper itself."""
    import numpy as np

    usable = [image for image in images if measured[image.content].contrast >= max(options.min_contrast, 1.0)]

    def rank(image: Image) -> tuple[bool, int, float, str]:
        found = measured[image.content]
        return not _chosen(image.path, options.keep), -found.width * found.height, -found.sharpness, image.path

    usable.sort(key=rank)
    hashes = np.array([int(measured[image.content].phash, 16) for image in usable], dtype=np.uint64)
    aspects = np.array([measured[image.content].width / measured[image.content].height for image in usable])
    free = np.ones(len(usable), dtype=bool)
    found = []
    for place, keeper in enumerate(usable):
        if not free[place]:
            continue
        distances = np.bitwise_count(hashes[place + 1 :] ^ hashes[place])
        for offset in np.flatnonzero(distances <= options.duplicate_distance):
            other = place + 1 + int(offset)
            stretch = max(aspects[place], aspects[other]) / min(aspects[place], aspects[other])
            if free[other] and stretch <= MAX_ASPECT_DIFFERENCE:
                free[other] = False
                size = measured[keeper.content]
                found.append(
                    (
                        usable[other],
                        keeper,
                        "near-duplicate",
                        f"{int(distances[offset])} of 64 bits from the {size.width}×{size.height}",
                    )
                )
    return found


def _notes(images: tuple[Image, ...], verdicts: dict[str, Decision], options: Options) -> list[str]:
    notes = [
        f"{option} names {pattern!r}, which is no picture of the set"
        for option, patterns in (("keep", options.keep), ("drop", options.drop))
        for pattern in patterns
        if not any(_chosen(image.path, (pattern,)) for image in images)
    ]
    missing = [path for path, verdict in verdicts.items() if verdict.reason == "missing"]
    if missing:
        notes.append(
            f"{len(missing)} of {len(images)} pictures are gone from the set, such as {missing[0]}; "
            "prep flatten brings them back"
        )
    standing = {image.concept for image in images if verdicts[image.path].value}
    notes += [f"no picture of {concept} is kept" for concept in sorted({image.concept for image in images} - standing)]
    return notes
