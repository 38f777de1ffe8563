"""Import folders of images into a set; the originals are never changed.

A source is a folder, an archive (.zip, .tar, .tar.gz), or a folder of a dataset repository, written
hf://datasets/OWNER/NAME/FOLDER. Every image below it gets its place in SET/images/CONCEPT: a clone, a hard link or a
copy, whichever the disk can. A concept is the folder's path below the source; images directly in a source make a
concept of its name. What a person wrote comes along: captions beside images (.txt, .caption) or in metadata files,
repeats in folder names (24_NAME) and multiply.txt, tags that a downloader saved as JSON. What is left out, renamed or
found changed is listed with its reason. More sources can be added by running it again.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.core.errors import PrepError
from pipeline.core.files import digest_if_readable
from pipeline.core.links import How
from pipeline.sources import hub
from pipeline.sources.booru import booru_tagger
from pipeline.sources.metadata_files import Described, ImageTable, read_table
from pipeline.sources.placement import Placing
from pipeline.sources.repeats import Folders, UserRepeats, folders
from pipeline.sources.sidecars import Beside, CaptionText, Sidecar, is_sidecar, read_caption, read_sidecar
from pipeline.sources.source_file import CAPTION, EXTENSIONS, IMAGE, TABLE, Found, cut, sniffed, without_extension
from pipeline.sources.source_list import contents, holds, look
from pipeline.store.caption_files import plain
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.captions import Origin
from pipeline.store.reasons.placement import PlacementReason as P
from pipeline.store.reasons.placement import RepeatsSource
from pipeline.store.reasons.reason import Cause, Reason
from pipeline.store.records import Decision, Plan
from pipeline.store.stage import ProgressCallback, Stage, WorkResult

NAME = "flatten"
BATCH = 256
READERS = 4
_SENTENCES: Mapping[Reason, str] = {
    P.SOURCE_VANISHED: "images that stay in the set though their source is gone: {n}",
    P.NO_LONGER_A_SOURCE: "images that left the set, as their folder is no longer a source (the files stay): {n}",
    P.MOVED: "images that moved in the sources: {n}",
    P.CAPTION_NOT_UTF8: "caption files left out because they are not UTF-8; save them as UTF-8: {n}",
    P.JSON_NOT_USED: "JSON files beside images that could not be used; prep log says why: {n}",
    P.METADATA_NOT_USED: "JSON and CSV files that describe no images or could not be read, not used: {n}",
    P.NAME_NOT_UTF8: "files left out because their names are not UTF-8; rename them: {n}",
    P.FOLDER_UNREADABLE: "folders that cannot be read: {n}",
    P.UNREADABLE: "files that cannot be read: {n}",
    P.LINK_LEADS_OUT: "links that lead out of their source, left out; to take them in give --follow-links: {n}",
    P.MULTIPLY_NO_NUMBER: "multiply.txt files without a number above 0, not used: {n}",
    P.ARCHIVE: "archives in the sources, not opened; name them as sources too: {n}",
    P.ARCHIVE_PARTIAL: "archives that could be read only in part: {n}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    sources: tuple[str, ...] = field(default=(), metadata={"section": "set"})
    """Folders, archives and dataset repositories to bring images from."""
    repeats_in_names: bool = True
    """Read a folder of images called N_NAME as the concept NAME to be shown N times, as kohya-ss/sd-scripts does."""
    link: How = "auto"
    """How images come into the set: reflink (shares the disk's blocks until one side is edited), hardlink, copy or
    symlink; auto takes the first of reflink, hardlink and copy that the disk can."""
    follow_links: bool = False
    """Follow links in the sources that lead out of them, too."""


def observe(manifest: Manifest, options: Options) -> str:
    """Hash the listing of the sources."""
    digest = hashlib.sha256()
    for line in look(_sources(manifest, options), options.follow_links):
        digest.update(line.encode(errors="surrogatepass"))
    return digest.hexdigest()


def missing(manifest: Manifest, options: Options) -> str:
    """Why the stage must run although no source changed: an image of the set was lost or edited there."""
    root = str(manifest.root)
    changed = [image.path for image in manifest.images() if _bytes(f"{root}/{image.path}") != image.bytes]
    return f"images of the set lost or edited: {len(changed)}, such as {changed[0]}" if changed else ""


def measure(manifest: Manifest, options: Options, progress: ProgressCallback) -> None:
    """Unpack and fetch what is not here yet, hash every image whose size or time is new, take in booru tags."""
    known = manifest.known_files()
    found = _contents(manifest, options, progress)
    todo = [
        each
        for each in found
        if each.kind == IMAGE and not each.problem and known.get(each.path, ())[:2] != (each.bytes, each.modified)
    ]
    with ThreadPoolExecutor(READERS) as readers:
        for start in range(0, len(todo), BATCH):
            batch = todo[start : start + BATCH]
            digests = readers.map(digest_if_readable, [Path(each.place) for each in batch])
            rows = [(each.path, each.bytes, each.modified, digest) for each, digest in zip(batch, digests, strict=True)]
            with manifest.transaction():
                manifest.put_files(row for row in rows if row[3])
            progress("reading sources", start + len(batch), len(todo))
    _take_tags(manifest, found)


def plan(manifest: Manifest, options: Options) -> Plan:
    """Give every image of the sources a place; an image that has one keeps it."""
    work = _Flattening(manifest, options)
    placing = work.place_all()
    work.take_captions()
    images = tuple(sorted(placing.images.values(), key=lambda image: image.path))
    return Plan(
        NAME,
        ("placed", "user_repeats"),
        (*placing.rows, *work.user_repeats()),
        images=images,
        links=tuple(placing.links),
        captions=tuple(work.captions.items()),
        notes=tuple(work.notes()),
    )


def work(manifest: Manifest, options: Options, progress: ProgressCallback) -> WorkResult:
    """Count how the images of the set came to it."""
    links = Counter(image.link for image in manifest.images())
    return WorkResult({f"linked:{link}": number for link, number in links.most_common()})


class _Flattening:
    """A plan in the making: what was found, and what its sidecars and tables say."""

    def __init__(self, manifest: Manifest, options: Options) -> None:
        self.manifest, self.options = manifest, options
        self.found = _contents(manifest, options)
        self.known = manifest.known_files()
        self.images = {each.path: each for each in self.found if each.kind == IMAGE and not each.problem}
        self.beside = Beside(self.found)
        self.folders: Folders = folders(self.found, options.repeats_in_names)
        self.captions: dict[str, str] = {}
        self.described: dict[str, Described] = {}
        self.data_rows = list(self._describe())
        self.placing = Placing(
            manifest,
            options.sources,
            options.link,
            {each.path for each in self.found},
            {path: self._concept(each) for path, each in self.images.items()},
            {path: told.name for path, told in self.described.items() if told.name},
        )
        rows = manifest.decisions("human")
        self.human = {path: plain(text) for path, text in manifest.human().items()}
        self.came = {path for path, row in rows.items() if row.data.get("origin") == Origin.CAME_WITH_IMAGE}
        self.written = manifest.written()

    def _concept(self, found: Found) -> str:
        told = self.described.get(found.path)
        return (told.concept if told else "") or self.folders.concepts.get(found.folder, found.concept)

    def place_all(self) -> Placing:
        """Every file its row, and every image its place."""
        for found in self.found:
            if found.problem:
                self._leave_out(found.path, found.problem)
            elif found.kind == IMAGE:
                content = self._content(found)
                if content:
                    self.placing.place(found, content)
                else:
                    self._leave_out(found.path, Cause(P.UNREADABLE))
        self.placing.keep_vanished()
        for path, cause in (*self.folders.rows, *self.data_rows):
            self._leave_out(path, cause)
        return self.placing

    def _leave_out(self, path: str, cause: Cause) -> None:
        self.placing.row(path, None, P(cause.reason), cause.data)

    def _content(self, found: Found) -> str:
        size, modified, content = self.known.get(found.path, (-1, -1, ""))
        return content if (size, modified) == (found.bytes, found.modified) else digest_if_readable(Path(found.place))

    # --- JSON beside images, and tables

    def _describe(self) -> Iterator[tuple[str, Cause]]:
        """Read every data file; an image's own goes before a table. Gives (path, what became of it) for each."""
        tables = []
        for found in self.found:
            if found.kind != TABLE or found.problem:
                continue
            if is_sidecar(found, self.beside):
                yield found.path, self._own_json(found)
            else:
                tables.append(found)
        imgs = ImageTable(self.images) if tables else None
        for found in tables:
            assert imgs is not None
            yield found.path, self._table(found, imgs)

    def _own_json(self, found: Found) -> Cause:
        try:
            sidecar = read_sidecar(found)
        except ValueError as error:
            return Cause(P.JSON_NOT_USED, {"why": str(error)})
        told = sidecar.described
        for image in self.beside.owners(found):
            self.described.setdefault(image, told)
        if sidecar.tags:
            return Cause(P.TAGS_IMPORTED, {"tags": len(sidecar.tags)})
        says = [name for name in ("caption", "concept", "repeats") if getattr(told, name)]
        return Cause(P.METADATA_IMPORTED, {"says": says}) if says else Cause(P.JSON_EMPTY)

    def _table(self, found: Found, imgs: ImageTable) -> Cause:
        try:
            table = read_table(found.place, found.name)
        except ValueError as error:
            return Cause(P.METADATA_NOT_USED, {"why": str(error)})
        except OSError as error:
            return Cause(P.METADATA_NOT_USED, {"why": f"cannot be read: {error.strerror}"})
        used = 0
        for name, told in table.rows:
            image = imgs.find(name, found.path)
            if image is not None and image not in self.described:
                self.described[image] = told
            used += image is not None
        data: dict[str, Any] = {"used": used, "entries": len(table.rows) + len(table.problems)}
        if table.problems:
            data |= {"wrong": len(table.problems), "such_as": table.problems[0]}
        return Cause(P.METADATA_IMPORTED if used else P.METADATA_WITHOUT_IMAGE, data)

    # --- how often

    def user_repeats(self) -> Iterator[Decision]:
        """How often the person's folders and tables say each image is to be shown."""
        before = self.manifest.decisions("user_repeats")
        for source, image in self.placing.images.items():
            found = self.images.get(source)
            told = self.described.get(source)
            by_folder = self.folders.user_repeats.get(found.folder) if found else None
            if told is not None and told.repeats is not None:
                over = {"instead_of": by_folder.cause} if by_folder else {}
                by_folder = UserRepeats(told.repeats, Cause(RepeatsSource.METADATA, {"where": told.where, **over}))
            if by_folder is not None:
                yield Decision(image.path, "user_repeats", by_folder.value, *by_folder.cause)
            elif found is None and image.path in before:
                yield before[image.path]

    # --- captions

    def take_captions(self) -> None:
        """Bring what a person wrote: the first sound caption file of each image, else what a table says."""
        files = [each for each in self.found if each.kind == CAPTION and not each.problem]
        texts = {each.path: read_caption(each) for each in files}
        lists = self.beside.of(files, CAPTION)
        images = self.placing.images
        winners = {
            image: next((each.path for each in candidates if not texts[each.path].problem), "")
            for image, candidates in lists.items()
            if image in images
        }
        for each in files:
            owners = [image for image in self.beside.owners(each) if image in images]
            self._caption_row(each, texts, owners, winners)
        for source, told in self.described.items():
            if told.caption and source in images and not winners.get(source):
                self._take(images[source].path, told.caption)
        for before, now in self.placing.moved.items():
            if before != now and before in self.human and now not in self.human:
                self.captions.setdefault(now, self.manifest.human()[before])

    def _caption_row(
        self, found: Found, texts: Mapping[str, CaptionText], owners: list[str], winners: Mapping[str, str]
    ) -> None:
        caption, row = texts[found.path], self.placing.row
        if not owners:
            row(found.path, None, P.CAPTION_WITHOUT_IMAGE)
            return
        if caption.problem:
            self._leave_out(found.path, caption.problem)
            return
        won = [image for image in owners if winners[image] == found.path]
        if not won:
            first = winners[owners[0]]
            same = texts[first].text.strip() == caption.text.strip()
            reason = P.CAPTION_REPEATED if same else P.CAPTION_EXCLUDED
            row(found.path, None, reason, {"other": cut(first)[1]})
            return
        paths = [self.placing.images[image].path for image in won]
        taken = [self._take(path, caption.text) for path in paths]
        place = without_extension(paths[0]) + ".txt"
        row(found.path, place, P.CAPTION_IMPORTED if all(taken) else P.CAPTION_DIFFERS)

    def _take(self, path: str, text: str) -> bool:
        """Note a caption for an image, unless a person wrote another one in the set."""
        there = self._in_set(path)
        if there is not None and there != text.strip():
            return False
        if path not in self.human or there is None:
            self.captions[path] = text
        return True

    def _in_set(self, path: str) -> str | None:
        """What a person wrote in the set for an image; None where only prep, an earlier flatten, or nobody did."""
        if path in self.human:
            return self.human[path] if path not in self.came else None
        if path in self.written:
            return None
        try:
            return (self.manifest.root / path).with_suffix(".txt").read_text(encoding="utf-8-sig").strip()
        except FileNotFoundError:
            return None
        except (UnicodeDecodeError, OSError):
            return ""

    # --- what a person should know

    def notes(self) -> list[str]:
        counts = Counter(decision.reason for decision in self.placing.rows)
        notes = [sentence.format(n=counts[reason]) for reason, sentence in _SENTENCES.items() if counts[reason]]
        stripped = sorted(
            {
                f"{each.concept} → {self.folders.concepts[each.folder]}"
                for each in self.images.values()
                if each.folder in self.folders.concepts
            }
        )
        if stripped:
            notes.append(f"repeats taken off folder names: {_some(stripped)}")
        if self.folders.zero:
            notes.append(
                f"folders named with 0 repeats, which kohya would leave out; to leave them out take them out of the "
                f"sources: {_some(self.folders.zero)}"
            )
        expected = {image.path for images in (self.placing.images, self.placing.before) for image in images.values()}
        strangers = sorted(_images_in(self.manifest.root) - expected)
        if strangers:
            notes.append(
                f"images in images/ that have no source and are not used, such as {strangers[0]}; "
                f"put them in a source folder: {len(strangers)}"
            )
        return notes if self.placing.images else [*notes, "no image was found"]


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (" …" if len(names) > 8 else "")


def _sources(manifest: Manifest, options: Options) -> tuple[str, ...]:
    """The sources, each there or once read.

    Raises:
        PrepError: there are none, or one was never there.
    """
    if not options.sources:
        raise PrepError(
            "no source folders",
            'name them, prep flatten FOLDER... SET, or list them under [set] in prep.toml: sources = ["FOLDER"]',
        )
    for source in options.sources:
        if hub.is_address(source) or Path(source).exists():
            continue
        if not any(holds(source, image.source) for image in manifest.images()):
            raise PrepError(f"no folder {source}", "mend the sources, on the command line or under [set] in prep.toml")
    return options.sources


def _contents(manifest: Manifest, options: Options, progress: ProgressCallback = lambda *_: None) -> list[Found]:
    sources = _sources(manifest, options)
    return [sniffed(each) for each in contents(sources, manifest.root, options.follow_links, progress)]


def _take_tags(manifest: Manifest, found: list[Found]) -> None:
    """Keep the tags that image boards knew of images as scores of 1, under a tagger that goes before all others."""
    beside = Beside(found)
    known = manifest.known_files()
    tags: dict[str, dict[str, str]] = {}
    for each in found:
        if each.problem or not is_sidecar(each, beside):
            continue
        sidecar = _tags_of(each)
        for image in beside.owners(each) if sidecar and sidecar.tags else ():
            if image in known and sidecar is not None:
                tags.setdefault(known[image][2], {}).update(sidecar.tags)
    if not tags:
        return
    taggers = manifest.taggers()
    tagger = booru_tagger({tag: category for each in tags.values() for tag, category in each.items()})
    there, scores = taggers.get(tagger.id), manifest.scores(tagger.id)
    new = {
        content: dict.fromkeys(names, 1.0)
        for content, names in tags.items()
        if scores.get(content) != dict.fromkeys(names, 1.0)
    }
    categories = {**(there.categories if there else {}), **tagger.categories}
    with manifest.transaction():
        if there is None or dict(there.categories) != categories:
            for each_tagger in (
                replace(tagger, categories=categories),
                *(t for t in taggers.values() if t.id != tagger.id),
            ):
                manifest.put_tagger(each_tagger)
        manifest.put_scores(tagger.id, new)


def _tags_of(found: Found) -> Sidecar | None:
    try:
        return read_sidecar(found)
    except ValueError:
        return None


def _bytes(path: str) -> int:
    """A file's size, -1 when it is not there."""
    try:
        return os.stat(path).st_size  # noqa: PTH116  (a Path for each image would double the time)
    except OSError:
        return -1


def _images_in(root: Path) -> set[str]:
    files = (root / "images").glob("*/*")
    return {path.relative_to(root).as_posix() for path in files if path.suffix.lower() in EXTENSIONS}


STAGE = Stage(
    name=NAME,
    help=__doc__,
    options=Options,
    reads=(),
    plan=plan,
    observe=observe,
    observes="sources",
    measure=measure,
    missing=missing,
    work=work,
    makes=(),
)
