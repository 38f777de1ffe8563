"""What is exported: every kept image with all that was decided on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.caption_text import escaped, split_tags
from pipeline.core.errors import PrepError
from pipeline.export.request import STAMP, Crop, ExportedImage, Request
from pipeline.store.caption_files import captions
from pipeline.store.history.undo_log import ABSENT, stamp
from pipeline.store.manifest import Manifest
from pipeline.store.records import Decision, Image
from pipeline.store.values.bucket import Bucket


@dataclass(frozen=True, slots=True)
class ExportedRegImage:
    """A regularization image shown beside one: where it lies in the set, its caption, and a stamp of its file.

    `bucket` says how it is cropped, None where it was made in its image's size; `triggers` counts the trigger words of
    its image that its caption begins with.
    """

    path: str
    caption: str
    stamp: str
    bucket: Bucket | None
    triggers: int


@dataclass(frozen=True, slots=True)
class Sample:
    """A kept image. `caption` is None where there is none, `bucket` how it is cropped, or None.

    `exact` is how often it is to be shown per epoch, `repeat` the same as a whole number; `triggers` counts the trigger
    words that its caption begins with; `size` is (width, height) as measured, None if it was not. `regularization
    images` are shown beside it in turn; one may come several times.
    """

    image: Image
    caption: str | None
    exact: float
    repeat: int
    bucket: Bucket | None
    triggers: int
    size: tuple[int, int] | None
    transparent: bool
    rotated: bool
    reg_images: tuple[ExportedRegImage, ...]

    def extension_in(self, request: Request) -> str:
        """The extension of its file in an export, with the dot."""
        return ".png" if request.crops else self.extension

    def exported(self, path: str, request: Request) -> ExportedImage | Crop:
        """Its file in an export; `path` is without extension."""
        whole, source = path + self.extension_in(request), request.source(self.image.path)
        if request.crops:
            assert self.bucket is not None
            return Crop(whole, source, self.image.content, self.bucket)
        return ExportedImage(whole, source, self.image.content)

    @property
    def stem(self) -> str:
        """The file's name without its extension."""
        return self.image.path.rpartition("/")[2].rpartition(".")[0]

    @property
    def extension(self) -> str:
        """The extension in the set, with the dot."""
        return "." + self.image.path.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Contents:
    """All that is exported, in order of path, and what a person should know of it."""

    samples: tuple[Sample, ...]
    warnings: tuple[str, ...]


def read_contents(manifest: Manifest, crops: bool, escape: bool = False) -> Contents:
    """Gather the kept images; with `crops` every one of them needs a bucket, with `escape` parentheses in captions are letters
    to a trainer that reads weights.

    Raises:
        PrepError: no image is kept, files of the set are lost or edited, or buckets are missing.
    """
    kept = manifest.kept()
    if not kept:
        raise PrepError(f"no image of {manifest.root} is kept", f"see why: prep status {manifest.root}")
    _must_be_there(manifest, kept)
    rows = {field: manifest.decisions(field) for field in ("bucket", "repeats", "user_repeats")}
    triggers = {path: frozenset(words) for path, words in manifest.trigger_words().items()}
    texts, measured = captions(manifest), manifest.measurements()
    reg_images, waiting = _reg_images(manifest, {image.path for image in kept}, triggers, escape)
    _must_have_buckets(manifest, kept, rows["bucket"], crops)
    samples = []
    for image in kept:
        found = measured.get(image.content)
        exact, repeat = _repeats(rows["repeats"].get(image.path), rows["user_repeats"].get(image.path))
        caption = _said(texts.get(image.path) or "", escape) or None
        samples.append(
            Sample(
                image,
                caption,
                exact,
                repeat,
                rows["bucket"][image.path].value if image.path in rows["bucket"] else None,
                _leading(texts.get(image.path) or "", triggers.get(image.path, frozenset())),
                (found.width, found.height) if found and found.width else None,
                bool(found and found.transparent),
                bool(found and found.orientation in range(2, 9)),
                reg_images.get(image.path, ()),
            )
        )
    warnings = _notes(manifest, samples, rows["repeats"], rows["user_repeats"], waiting)
    return Contents(tuple(samples), tuple(warnings))


def _must_be_there(manifest: Manifest, kept: tuple[Image, ...]) -> None:
    root, lost = str(manifest.root), []
    for image in kept:
        try:
            there = Path(f"{root}/{image.path}").stat().st_size == image.bytes
        except OSError:
            there = False
        if not there:
            lost.append(image.path)
    if lost:
        raise PrepError(
            f"images of the set that are lost or were edited: {len(lost)}, such as {lost[0]}",
            f"run: prep flatten {manifest.root}, then the stages after it",
        )


def _must_have_buckets(
    manifest: Manifest, kept: tuple[Image, ...], buckets: Mapping[str, Decision], crops: bool
) -> None:
    bare = [image.path for image in kept if image.path not in buckets] if crops else []
    if bare:
        raise PrepError(
            f"images without a training size: {len(bare)}, such as {bare[0]}", f"run: prep bucket {manifest.root}"
        )


def _repeats(decided: Decision | None, user_repeats: Decision | None) -> tuple[float, int]:
    """(exact, whole): what balance decided, else what the person's folder says, else once."""
    if decided is not None:
        return decided.value.exact, max(1, decided.value.exported)
    if user_repeats is not None:
        return float(user_repeats.value), max(1, int(user_repeats.value))
    return 1.0, 1


def _said(caption: str, escape: bool) -> str:
    return escaped(caption) if escape else caption


def _leading(caption: str, words: frozenset[str]) -> int:
    """How many of a caption's first tags are trigger words."""
    count = 0
    for tag in split_tags(caption) if words else ():
        if tag not in words:
            break
        count += 1
    return count


def _reg_images(
    manifest: Manifest, kept: set[str], triggers: Mapping[str, frozenset[str]], escape: bool
) -> tuple[dict[str, tuple[ExportedRegImage, ...]], int]:
    """Image → its regularization images, as far as they were generated and kept, and how many are not there yet."""
    out = {path for path, row in manifest.decisions("keep").items() if not row.value}
    stamps: dict[str, str] = {}
    found: dict[str, list[ExportedRegImage]] = {}
    for path, row in manifest.decisions("regularization").items():
        words = triggers.get(path, frozenset())
        for value in row.value.images if path in kept else ():
            reg_image, caption = value.path, value.caption
            if value.preserved:
                continue
            if reg_image in out:
                continue
            if reg_image not in stamps:
                stamps[reg_image] = stamp(manifest.root / reg_image)
            if stamps[reg_image] != ABSENT:
                one = ExportedRegImage(
                    reg_image, _said(caption, escape), STAMP + stamps[reg_image], value.bucket, _leading(caption, words)
                )
                found.setdefault(path, []).append(one)
    waiting = sum(stamped == ABSENT for stamped in stamps.values())
    return {path: tuple(reg_images) for path, reg_images in found.items()}, waiting


def _notes(
    manifest: Manifest,
    samples: list[Sample],
    repeats: Mapping[str, Decision],
    user_repeats: Mapping[str, Decision],
    waiting: int,
) -> list[str]:
    warnings = []
    bare = [sample.image.path for sample in samples if sample.caption is None]
    if bare:
        warnings.append(f"images without a caption: {len(bare)}, such as {bare[0]}; run: prep curate {manifest.root}")
    unbalanced = [sample.image.path for sample in samples if sample.image.path not in repeats]
    once = [path for path in unbalanced if path not in user_repeats]
    if unbalanced and len(unbalanced) > len(once):
        warnings.append(
            f"prep balance has not seen {len(unbalanced)} images: {len(unbalanced) - len(once)} are shown as often "
            "as their folders say"
        )
    if once:
        warnings.append(f"images without repeats, shown once: {len(once)}; run: prep balance {manifest.root}")
    if waiting:
        warnings.append(
            f"regularization images that are not there yet: {waiting}; run: prep regularize {manifest.root}"
        )
    return warnings
