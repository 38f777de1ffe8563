"""Regularization images that a person gives: found in a folder, judged, and assigned to the images they go beside.

A folder below is for the concept or the class it is named like (`folder_names`); what lies flat is for every concept that
has none of its own.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.concepts.regularization.class_words import ClassWords
from pipeline.concepts.regularization.folder_names import EVERYONE, FolderNames, FolderUse
from pipeline.concepts.regularization.paths import FOLDER
from pipeline.concepts.regularization.user_folder import checked, listed
from pipeline.core.errors import PrepError
from pipeline.core.filenames import safe
from pipeline.core.files import digest_if_readable
from pipeline.sources.beside.sidecars import Beside, read_caption
from pipeline.sources.source_file import CAPTION, IMAGE, Found, extension_of, without_extension
from pipeline.store.caption_files import plain
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.check import CheckReason
from pipeline.store.reasons.placement import PlacementReason
from pipeline.store.reasons.reason import Cause, Reason
from pipeline.store.reasons.tagging import UserImageReason
from pipeline.store.running.stage import ProgressCallback
from pipeline.store.wording import counted, figures

NAMED = 3
"""How many files a note names."""
BATCH = 64
FLAT_FOLDER = "user"


@dataclass(frozen=True, slots=True)
class UserImage:
    """A usable image: where its bytes lie, where it goes in the set, its caption, and what was measured of it; `size` is
    (width, height), `focus` where its detail lies. It is used `repeats` times as often as one that says 1."""

    place: str
    path: str
    caption: str
    content: str
    size: tuple[int, int]
    transparent: bool
    focus: str
    repeats: int = 1


@dataclass(frozen=True, slots=True)
class Pools:
    """Node of the tree of concepts → the user images for all below it; and what a person should know."""

    images: Mapping[str, tuple[UserImage, ...]]
    warnings: tuple[str, ...]

    def of(self, concept: str) -> str | None:
        """The nearest pool that a concept has, None if none."""
        parts = concept.split("/")
        nodes = ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
        return next((node for node in (*nodes, EVERYONE) if node in self.images), None)


# --- measured once


def measure_user_images(manifest: Manifest, folder: Path, background: str, progress: ProgressCallback) -> None:
    """Hash the images whose size or time is new and measure new contents; a batch that is done stays done."""
    from pipeline.images.measurement import measuring_many

    known, images = manifest.known_files(), _images(listed(manifest, folder))
    new = [each for each in images if known.get(each.path, ())[:2] != (each.bytes, each.modified)]
    count = min(8, os.cpu_count() or 1)
    with measuring_many(count), ThreadPoolExecutor(count) as threads:
        for start in range(0, len(new), BATCH):
            batch = new[start : start + BATCH]
            digests = threads.map(digest_if_readable, [Path(each.place) for each in batch])
            rows = [(each.path, each.bytes, each.modified, digest) for each, digest in zip(batch, digests, strict=True)]
            with manifest.transaction():
                manifest.put_files(row for row in rows if row[3])
            progress("reading your regularization images", start + len(batch), len(new))
        _measure_contents(manifest, images, threads, background, progress)


def _measure_contents(
    manifest: Manifest,
    images: Iterable[Found],
    threads: ThreadPoolExecutor,
    background: str,
    progress: ProgressCallback,
) -> None:
    from pipeline.core.decoding.image_io import UnreadableImage
    from pipeline.images.measurement import measure_image
    from pipeline.images.measuring import measured_on
    from pipeline.store.records import Measurement

    known, measured = manifest.known_files(), measured_on(manifest, background)
    contents = {known[each.path][2]: Path(each.place) for each in images if each.path in known}
    todo = [(content, place) for content, place in contents.items() if content not in measured]

    def one(row: tuple[str, Path]) -> Measurement | None:
        try:
            return measure_image(row[1], row[0], background)
        except UnreadableImage:
            return None

    for start in range(0, len(todo), BATCH):
        batch = todo[start : start + BATCH]
        found = [each for each in threads.map(one, batch) if each is not None]
        with manifest.transaction():
            manifest.put_measurements(found)
        progress("measuring your regularization images", start + len(batch), len(todo))


def _images(listed: Iterable[Found]) -> list[Found]:
    return [each for each in listed if each.kind == IMAGE and not each.problem]


# --- judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which images of a folder are used: `caption` is that of those without, `words` the classes that folders are named
    like, `everyone` takes all of them for every concept, whatever folders are called, and captions as they come."""

    caption: str | None = None
    min_side: int = 64
    words: ClassWords = field(default_factory=ClassWords)
    everyone: bool = False


def find_user_images(manifest: Manifest, folder: Path, wanted: Wanted) -> Pools:
    """The usable images of a folder, by whom they are for; what is not used is in the warnings, with its reason.

    Raises:
        PrepError: none can be used, or some have no caption and there is none for all.
    """
    search = _Search(manifest, listed(manifest, folder), checked(manifest.root, folder), wanted)
    for found in search.listed:
        search.look_at(found)
    if search.bare:
        raise PrepError(
            f"{len(search.bare)} regularization images of yours have no caption, such as {search.bare[0]}",
            'write it beside each, NAME.txt, or say what they are of: --class-word girl, or --user-caption "1girl, solo"',
        )
    if not search.pools:
        reasons = "; ".join(search.warnings()) or "it holds no images"
        raise PrepError(
            f"no regularization image of {folder} can be used: {reasons}",
            "put images of the class flat into it, or into folders named like the concepts or, as 1_woman, like a class; "
            "--images random takes those of every folder for all concepts",
        )
    return Pools({node: tuple(pool) for node, pool in sorted(search.pools.items())}, tuple(search.warnings()))


class _Search:
    """What the folder holds; `left` is reason → files left out for it, `bare` files without a caption."""

    def __init__(self, manifest: Manifest, listed: list[Found], folder: str, wanted: Wanted) -> None:
        self.listed, self.folder, self.wanted = listed, folder, wanted
        self.pools: dict[str, list[UserImage]] = defaultdict(list)
        self.left: dict[Reason, list[str]] = defaultdict(list)
        self.bare: list[str] = []
        self.uncaptioned = 0
        kept = manifest.kept()
        self._trained = {image.content: image.path for image in kept}
        self._names = FolderNames({image.concept for image in kept}, wanted.words)
        self._known = manifest.known_files()
        self._measured = manifest.measured("width", "height", "transparent", "focus", "problem")
        self._beside = Beside(listed)
        self._texts = self._beside.of(listed, CAPTION)
        self._seen: dict[tuple[str, str], str] = {}

    def look_at(self, found: Found) -> None:
        """Put a file into the pool it is for, or note why not."""
        if found.problem or found.kind not in (IMAGE, CAPTION):
            problem = found.problem or Cause(PlacementReason.NOT_AN_IMAGE)
            if problem.reason != PlacementReason.HIDDEN:
                self.left[problem.reason].append(found.path)
            return
        if found.kind == CAPTION:
            if not self._beside.owners(found):
                self.left[PlacementReason.CAPTION_WITHOUT_IMAGE].append(found.path)
            return
        content = self._content(found)
        fault = self._fault(found, content)
        if fault is not None:
            behind = figures(fault)
            self.left[fault.reason].append(f"{found.path} ({behind})" if behind else found.path)
            return
        use = self._use(found)
        assert use is not None
        caption = self._caption(found, use)
        if caption is None:
            self.bare.append(found.path)
            return
        width, height, transparent, focus, _ = self._measured[content]
        for node in use.nodes:
            if self._seen.setdefault((node, content), found.path) != found.path:
                continue
            path = _place(use.called, found, content)
            self.pools[node].append(
                UserImage(found.place, path, caption, content, (width, height), bool(transparent), focus, use.repeats)
            )

    def _content(self, found: Found) -> str:
        size, modified, content = self._known.get(found.path, (-1, -1, ""))
        return content if (size, modified) == (found.bytes, found.modified) else digest_if_readable(Path(found.place))

    def _fault(self, found: Found, content: str) -> Cause | None:
        """Why an image cannot be used, if it cannot."""
        if not content or content not in self._measured:
            return Cause(PlacementReason.UNREADABLE)
        width, height, _, _, problem = self._measured[content]
        if problem:
            return Cause(CheckReason.UNREADABLE, {"problem": problem})
        if min(width, height) < self.wanted.min_side:
            return Cause(CheckReason.TOO_SMALL, {"size": (width, height), "least": self.wanted.min_side})
        if content in self._trained:
            return Cause(UserImageReason.TRAINED_ON, {"of": self._trained[content]})
        use = self._use(found)
        if use is None:
            return Cause(UserImageReason.NO_CONCEPT)
        seen = [self._seen.get((node, content)) for node in use.nodes]
        return Cause(UserImageReason.SUPPLIED_TWICE, {"of": seen[0]}) if all(seen) else None

    def _use(self, found: Found) -> FolderUse | None:
        """Whom the images of a file's folder are for, and as what."""
        if self.wanted.everyone:
            return FolderUse((EVERYONE,), self.wanted.words.word)
        top = found.folder == self.folder
        return self._names.use(found.concept, top)

    def _caption(self, found: Found, use: FolderUse) -> str | None:
        """The first sound caption beside an image, else the one for all, else what its folder says."""
        for file in self._texts.get(found.path, ()):
            text = read_caption(file)
            if not text.problem:
                return plain(text.text)
            self.left[text.problem.reason].append(file.path)
        if self.wanted.caption is not None:
            return self.wanted.caption
        self.uncaptioned += use.caption == ""
        return use.caption

    def warnings(self) -> list[str]:
        unsaid = (
            f"{self.uncaptioned} images of yours have no caption and are shown with an empty one; say what they are of with "
            "--user-caption, if it is one thing"
        )
        return [
            *(
                f"regularization images of yours not used, {counted(reason)}: {len(files)}, such as {', '.join(files[:NAMED])}"
                for reason, files in self.left.items()
            ),
            *([unsaid] if self.uncaptioned else []),
        ]


def _place(called: str, found: Found, content: str) -> str:
    """Where an image of a folder called so goes in the set; named by what it holds too, so that it never stands for
    another one."""
    folder = safe(called) if called else FLAT_FOLDER
    stem = found.name if found.extension else without_extension(found.name)
    return f"{FOLDER}/{folder}/{safe(stem)}-{content[:12]}{(found.extension or extension_of(found.name)).lower()}"


def shared(pools: Pools, concepts: Sequence[str]) -> dict[str, list[int]]:
    """Pool → which of the images, whose concepts these are, it serves; those of no pool are not among them."""
    found: dict[str, list[int]] = defaultdict(list)
    for place, concept in enumerate(concepts):
        node = pools.of(concept)
        if node is not None:
            found[node].append(place)
    return dict(found)
