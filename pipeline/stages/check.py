"""Decide which images to keep: readable, large enough, sharp, and no duplicates.

Nothing is deleted: every image gets a verdict with its reason, and another threshold judges anew without reading
a pixel again. Of equal and nearly equal images one is kept and the others name it. A regularization image that
is a copy of an image to be trained on is not used; run check again with --force once there are such images.
"""

from __future__ import annotations

import fnmatch
import os
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pipeline.core.errors import PrepError
from pipeline.core.files import digest_if_readable
from pipeline.images.duplicates import Likeness, find_copies
from pipeline.sources.source_file import EXTENSIONS
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.check import CheckReason
from pipeline.store.reasons.reason import NOTHING, Data
from pipeline.store.records import Decision, Image, Measurement, Plan
from pipeline.store.stage import ProgressCallback, Stage

NAME = "check"
REGULARIZATION = "regularization"
BATCH = 64
AHEAD = 128
"""Images handed to the threads before the first of them is waited for, so that no thread waits for a batch."""
MIN_BARS = 0.02
"""Share of a side that bars take at least; less is a frame line or an uneven edge."""
MIN_HIDDEN = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    min_side: int = 64
    """Shorter side in pixels below which an image is too small."""
    max_aspect: float = 4.0
    """Longer side over shorter side above which an image is too long."""
    max_enlarge: float | None = None
    """How many times its width an image may be enlarged to reach the training area, such as 1.5; any if not given."""
    min_sharpness: float = 5.0
    """Variance of the Laplacian, at 256 pixels, below which an image is blurry; line art has hundreds, a soft
    watercolour 8 or more."""
    min_contrast: float = 4.0
    """Standard deviation of grey (0 to 127) below which an image is flat, showing next to nothing."""
    animated: Literal["first", "drop"] = "first"
    """Of an animation keep the first frame, or drop it."""
    letterbox: Literal["keep", "drop"] = "keep"
    """Keep or drop images with bars of one colour along opposite edges, as films have them; they would be learned."""
    duplicate_distance: int = 15
    """Bits out of 256 in which the PDQ hashes of near-duplicates differ at most; -1 keeps near-duplicates."""
    duplicate_change: float = 5.0
    """How far the spot where near-duplicates differ most may stand out from their other differences: another expression
    stands out 5 times and more, saving again mostly 4 at most. 1000 takes film frames for copies where only a mouth moved."""
    duplicates_within: Literal["set", "concept"] = "set"
    """Look for copies in the whole set, or only within each concept."""
    keep: tuple[str, ...] = ()
    """Path in the set, or pattern such as images/Mihari/*, to keep whatever is measured, if it can be read."""
    drop: tuple[str, ...] = ()
    """Path in the set, or pattern, to leave out."""
    resolution: int = field(default=512, metadata={"section": "bucket"})
    """Side in pixels of the square whose area images are trained at."""

    def __post_init__(self) -> None:
        from pipeline.images.hash_index import MAX_RADIUS

        if self.min_side < 1:
            raise PrepError(f"min_side is {self.min_side}", "give 1 or more pixels")
        if self.max_aspect < 1:
            raise PrepError(f"max_aspect is {self.max_aspect}", "longer over shorter side is never below 1")
        if self.max_enlarge is not None and self.max_enlarge < 1:
            raise PrepError(f"max_enlarge is {self.max_enlarge}", "give 1, for no enlarging at all, or more")
        if self.min_sharpness < 0 or self.min_contrast < 0:
            raise PrepError(
                f"min_sharpness is {self.min_sharpness}, min_contrast is {self.min_contrast}", "give 0 or more"
            )
        if not -1 <= self.duplicate_distance <= MAX_RADIUS:
            raise PrepError(
                f"duplicate_distance is {self.duplicate_distance}",
                f"give -1 to {MAX_RADIUS} bits; 15 finds what was saved again, {MAX_RADIUS} is loose",
            )
        if self.duplicate_change < 0:
            raise PrepError(f"duplicate_change is {self.duplicate_change}", "give 0 or more; 5 is usual")


def observe(manifest: Manifest, options: Options) -> str:
    """Which images are not where they should be."""
    return "\n".join(sorted(_missing(manifest.root, manifest.images())))


def measure(manifest: Manifest, options: Options, progress: ProgressCallback) -> None:
    """Measure every content that was not measured yet; a batch that is done stays done."""
    from pipeline.images.measurement import measuring_many

    images, known = manifest.images(), manifest.measured()
    missing = _missing(manifest.root, images)
    todo = {
        image.content: manifest.root / image.path
        for image in reversed(images)
        if image.content not in known and image.path not in missing
    }
    count = min(8, os.cpu_count() or 1)
    with measuring_many(count), ThreadPoolExecutor(count) as threads:
        try:
            _know_regularization(manifest, threads, progress)
            for reg_image in _regularization(manifest):
                if reg_image.content not in known:
                    todo.setdefault(reg_image.content, manifest.root / reg_image.path)
            _measure_all(manifest, threads, todo, progress)
        finally:
            threads.shutdown(cancel_futures=True)


def _measure_all(
    manifest: Manifest, threads: ThreadPoolExecutor, todo: dict[str, Path], progress: ProgressCallback
) -> None:
    from pipeline.core.image_io import UnreadableImage
    from pipeline.images.measurement import measure_image

    def one(content: str, path: Path) -> Measurement | None:
        try:
            return measure_image(path, content)
        except UnreadableImage:
            return None

    def running() -> Iterator[Future[Measurement | None]]:
        started: deque[Future[Measurement | None]] = deque()
        for content, path in todo.items():
            started.append(threads.submit(one, content, path))
            if len(started) > AHEAD:
                yield started.popleft()
        yield from started

    batch: list[Measurement] = []
    for done, future in enumerate(running(), 1):
        found = future.result()
        batch += [found] if found is not None else []
        if done % BATCH == 0 or done == len(todo):
            with manifest.transaction():
                manifest.put_measurements(batch)
            batch = []
            progress("measuring", done, len(todo))


def _know_regularization(manifest: Manifest, threads: ThreadPoolExecutor, progress: ProgressCallback) -> None:
    """Hash the regularization images whose size or time is new."""
    known = manifest.known_files()
    todo = [(path, *stamp) for path, stamp in _reg_image_files(manifest.root) if known.get(path, ())[:2] != stamp]
    for start in range(0, len(todo), BATCH):
        part = todo[start : start + BATCH]
        digests = threads.map(digest_if_readable, [manifest.root / path for path, _, _ in part])
        rows = [(*row, digest) for row, digest in zip(part, digests, strict=True) if digest]
        with manifest.transaction():
            manifest.put_files(rows)
        progress("reading regularization images", start + len(part), len(todo))


def _reg_image_files(root: Path) -> list[tuple[str, tuple[int, int]]]:
    """(path in the set, (bytes, modification time in ns)) of the regularization images, in order of path."""
    files = [
        file for file in (root / REGULARIZATION).rglob("*") if file.suffix.lower() in EXTENSIONS and file.is_file()
    ]
    stamps = [(file.relative_to(root).as_posix(), file.stat()) for file in files]
    return sorted((path, (stamp.st_size, stamp.st_mtime_ns)) for path, stamp in stamps)


def _regularization(manifest: Manifest) -> list[Image]:
    """The regularization images whose content is known, as images of no concept."""
    known = manifest.known_files()
    return [
        Image(path, "", path, known[path][2], stamp[0], "")
        for path, stamp in _reg_image_files(manifest.root)
        if known.get(path, ())[:2] == stamp
    ]


def plan(manifest: Manifest, options: Options) -> Plan:
    """One verdict for every image, with the figures behind it."""
    images, measured = manifest.images(), manifest.measurements()
    missing = _missing(manifest.root, images)
    verdicts: dict[str, Decision] = {}
    for image in images:
        found = None if image.path in missing else measured.get(image.content)
        verdicts[image.path] = _judge(image, found, options)
    standing = [image for image in images if verdicts[image.path].value]
    likeness = Likeness(options.duplicate_distance, options.duplicate_change)
    for group in _groups(standing, options):
        for copy in find_copies(group, measured, likeness, lambda image: _chosen(image.path, options.keep)):
            if not _chosen(copy.loser.path, options.keep):
                reason = CheckReason.NEAR_DUPLICATE if copy.near else CheckReason.DUPLICATE
                verdicts[copy.loser.path] = Decision(copy.loser.path, "keep", False, reason, copy.data)
    kept = [image for image in standing if verdicts[image.path].value]
    reg_images = _reg_images_that_are_copies(manifest, kept, measured, likeness)
    notes = tuple(_notes(images, measured, verdicts, options))
    return Plan(NAME, ("keep",), (*verdicts.values(), *reg_images), notes=notes)


def _groups(images: list[Image], options: Options) -> list[list[Image]]:
    groups: dict[str, list[Image]] = defaultdict(list)
    for image in images:
        groups[image.concept if options.duplicates_within == "concept" else ""].append(image)
    return list(groups.values())


def _reg_images_that_are_copies(
    manifest: Manifest, kept: list[Image], measured: dict[str, Measurement], likeness: Likeness
) -> list[Decision]:
    """A row for every regularization image that shows what a kept image shows; the kept one always stays."""
    training = {image.path for image in kept}
    reg_images = [reg_image for reg_image in _regularization(manifest) if reg_image.content in measured]
    if not reg_images:
        return []
    usable = [reg_image for reg_image in reg_images if not measured[reg_image.content].problem]
    copies = find_copies([*kept, *usable], measured, likeness, lambda _: False, lambda image: image.path in training)
    return [
        Decision(
            copy.loser.path,
            "keep",
            False,
            CheckReason.NEAR_DUPLICATE_OF_TRAINING if copy.near else CheckReason.DUPLICATE_OF_TRAINING,
            copy.data,
        )
        for copy in sorted(copies, key=lambda copy: copy.loser.path)
        if copy.loser.path not in training
    ]


def _missing(root: Path, images: Iterable[Image]) -> set[str]:
    """Paths of the images that are not on disk."""
    folders: dict[str, set[str]] = {}
    missing = set()
    for image in images:
        folder, _, name = image.path.rpartition("/")
        if folder not in folders:
            try:
                folders[folder] = {entry.name for entry in (root / folder).iterdir()}
            except OSError:
                folders[folder] = set()
        if name not in folders[folder]:
            missing.add(image.path)
    return missing


def _judge(image: Image, found: Measurement | None, options: Options) -> Decision:
    """The verdict on an image by itself: the gravest reason, and in its data the other ones."""

    def verdict(keep: bool, reason: CheckReason, data: Data = NOTHING) -> Decision:
        return Decision(image.path, "keep", keep, reason, data)

    if found is None:
        return verdict(False, CheckReason.MISSING)
    if found.problem:
        truncated = found.problem.partition(":")[0] == CheckReason.TRUNCATED
        reason = CheckReason.TRUNCATED if truncated else CheckReason.UNREADABLE
        return verdict(False, reason, {"problem": found.problem})
    faults, remarks = list(_faults(found, options)), list(_remarks(found, options))
    if _chosen(image.path, options.drop):
        return verdict(False, CheckReason.EXCLUDED_BY_USER, {"size": _size(found)})
    measured = {"measured": _measured(found, options)}
    if _chosen(image.path, options.keep):
        return verdict(True, CheckReason.KEPT_BY_USER, measured | _also([*faults, *remarks]))
    if faults:
        return verdict(False, faults[0].reason, {**faults[0].data, **_also([*faults[1:], *remarks])})
    if remarks:
        return verdict(True, remarks[0].reason, {**remarks[0].data, **measured, **_also(remarks[1:])})
    return verdict(True, CheckReason.GOOD, measured)


class _Finding(NamedTuple):
    """What holds of an image, and the figures that show it."""

    reason: CheckReason
    data: Data = NOTHING


def _also(others: list[_Finding]) -> dict[str, Any]:
    """What else holds of the image."""
    return {"also": others} if others else {}


def _size(found: Measurement) -> tuple[int, int]:
    return found.width, found.height


def _measured(found: Measurement, options: Options) -> dict[str, Any]:
    data: dict[str, Any] = {"size": _size(found), "sharpness": found.sharpness, "contrast": found.contrast}
    upscaled = _upscaled(found, options)
    return data | ({"upscaled": round(upscaled, 4), "resolution": options.resolution} if upscaled > 1 else {})


def _faults(found: Measurement, options: Options) -> Iterator[_Finding]:
    """For what an image is dropped, the gravest first."""
    size, (short, long) = _size(found), sorted(_size(found))
    if short < options.min_side:
        yield _Finding(CheckReason.TOO_SMALL, {"size": size, "least": options.min_side})
    if long / short > options.max_aspect:
        aspect = {"aspect": round(long / short, 4), "most": options.max_aspect}
        yield _Finding(CheckReason.TOO_LONG, {"size": size, **aspect})
    upscaled = _upscaled(found, options)
    if options.max_enlarge is not None and upscaled > options.max_enlarge:
        most = {"upscaled": round(upscaled, 4), "most": options.max_enlarge, "resolution": options.resolution}
        yield _Finding(CheckReason.TOO_SMALL_FOR_AREA, {"size": size, **most})
    if found.contrast < options.min_contrast:
        yield _Finding(CheckReason.FLAT, {"contrast": found.contrast, "least": options.min_contrast})
    if found.sharpness < options.min_sharpness:
        yield _Finding(CheckReason.BLURRY, {"sharpness": found.sharpness, "least": options.min_sharpness})
    if options.animated == "drop" and found.frames > 1:
        yield _Finding(CheckReason.ANIMATED, {"frames": found.frames})
    if options.letterbox == "drop" and (bars := _bars(found)):
        yield _Finding(CheckReason.LETTERBOXED_EXCLUDED, bars)


def _remarks(found: Measurement, options: Options) -> Iterator[_Finding]:
    """What a kept image is or had done to it, what matters most first."""
    if options.letterbox == "keep" and (bars := _bars(found)):
        yield _Finding(CheckReason.LETTERBOXED, bars)
    if options.animated == "first" and found.frames > 1:
        yield _Finding(CheckReason.FIRST_FRAME, {"frames": found.frames})
    if found.hidden >= MIN_HIDDEN:
        yield _Finding(CheckReason.COLOURED_ALPHA, {"share": found.hidden})
    elif found.transparent:
        yield _Finding(CheckReason.TRANSPARENT)
    if found.mode == "CMYK":
        yield _Finding(CheckReason.CMYK, {"profile": found.profile})
    elif found.profile == "broken":
        yield _Finding(CheckReason.BROKEN_PROFILE)
    elif found.profile and not found.profile.startswith("sRGB"):
        yield _Finding(CheckReason.COLOUR_PROFILE, {"profile": found.profile})
    if found.bits > 8:
        yield _Finding(CheckReason.DEEP_COLOUR, {"bits": found.bits, "mode": found.mode})
    if found.orientation != 1:
        yield _Finding(CheckReason.EXIF_ROTATED, {"orientation": found.orientation})


def _upscaled(found: Measurement, options: Options) -> float:
    """How many times its width an image is upscaled to have the area that is trained at."""
    return float(options.resolution / (found.width * found.height) ** 0.5)


def _bars(found: Measurement) -> dict[str, int]:
    """How wide the bars along opposite edges are in pixels, by side; nothing where there are none."""
    pairs = (
        ({"top": found.bar_top, "bottom": found.bar_bottom}, found.height),
        ({"left": found.bar_left, "right": found.bar_right}, found.width),
    )
    bars: dict[str, int] = {}
    for pair, side in pairs:
        if all(pair.values()) and sum(pair.values()) >= MIN_BARS * side:
            bars |= pair
    return bars


def _chosen(path: str, patterns: Iterable[str]) -> bool:
    """Whether a person named the path, as it is or by a pattern; brackets in a real name are no pattern."""
    return any(path == pattern or fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def _notes(
    images: tuple[Image, ...], measured: dict[str, Measurement], verdicts: dict[str, Decision], options: Options
) -> list[str]:
    notes = [
        f"{option} names {pattern!r}, which is no image of the set"
        for option, patterns in (("keep", options.keep), ("drop", options.drop))
        for pattern in patterns
        if not any(_chosen(image.path, (pattern,)) for image in images)
    ]
    missing = [path for path, verdict in verdicts.items() if verdict.reason == CheckReason.MISSING]
    if missing:
        notes.append(
            f"{len(missing)} of {len(images)} images are gone from the set, such as {missing[0]}; "
            "prep flatten brings them back"
        )
    standing = [image for image in images if verdicts[image.path].value]
    concepts = {image.concept for image in standing}
    notes += [f"no image of {concept} is kept" for concept in sorted({image.concept for image in images} - concepts)]
    total = Counter(image.concept for image in standing)
    turned = Counter(image.concept for image in standing if measured[image.content].orientation != 1)
    notes += [
        f"{count} of {total[concept]} images of {concept} are turned by EXIF, the others are not: look whether all "
        "of them stand upright"
        for concept, count in sorted(turned.items())
        if count < total[concept]
    ]
    letterboxed = sum(bool(_bars(measured[image.content])) for image in standing)
    if letterboxed:
        notes.append(
            f"{letterboxed} of {len(standing)} kept images are letterboxed, and bars are learned like anything else; "
            "crop them, or leave them out with --letterbox drop"
        )
    return notes


STAGE = Stage(
    name=NAME,
    help=__doc__,
    options=Options,
    reads=("images",),
    plan=plan,
    observe=observe,
    measure=measure,
)
