"""Bring folders of pictures into a set; the originals are never touched.

Every picture below the source folders gets its place in SET/images/CONCEPT, as a hard link where the disk allows it
and as a copy elsewhere. A concept is the folder's path below the source; pictures directly in a source folder make
a concept of its name. A caption file beside a picture (same name, .txt) comes along as a person's caption. What is
left out, renamed or found changed is listed with its reason. More folders can be added by running it again.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from pipeline.errors import PrepError
from pipeline.files import file_digest, same_content
from pipeline.manifest import Manifest
from pipeline.names import concept_of, flat, safe, same_file_key, without_repeats
from pipeline.records import Decision, Image, Link, Plan
from pipeline.scan import EXTENSIONS, Found, scan
from pipeline.stage import Progress

NAME = "flatten"
READS: tuple[str, ...] = ()
BATCH = 64
EDITED = "edited in the set"
VANISHED = "source vanished"
MOVED = "moved"
DISOWNED = "no longer among the sources"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    sources: tuple[Path, ...] = field(default=(), metadata={"section": "set"})
    """Folders to bring pictures from."""
    repeats_in_names: bool = True
    """Read a folder of pictures called N_NAME as the concept NAME, as trainers that keep repeats in names write it."""


def observe(manifest: Manifest, options: Options) -> str:
    """Hash the listing of the sources."""
    digest = hashlib.sha256()
    for found in _scan(manifest, options):
        digest.update(repr((found.path, found.kind, found.bytes, found.modified, found.problem)).encode())
    return digest.hexdigest()


def missing(manifest: Manifest, options: Options) -> str:
    """Why the stage must run although no source changed: a picture of the set was lost or edited there."""
    changed = [image.path for image in manifest.images() if _on_disk(manifest, image) != image.bytes]
    return f"pictures of the set lost or edited: {len(changed)}, such as {changed[0]}" if changed else ""


def measure(manifest: Manifest, options: Options, progress: Progress) -> None:
    """Hash every picture whose size or time is new."""
    known = manifest.known_files()
    todo = [
        found
        for found in _scan(manifest, options)
        if found.kind == "picture"
        and not found.problem
        and known.get(found.path, ())[:2] != (found.bytes, found.modified)
    ]
    for start in range(0, len(todo), BATCH):
        rows = [
            (found.path, found.bytes, found.modified, digest)
            for found in todo[start : start + BATCH]
            if (digest := _digest(found.path))
        ]
        with manifest.transaction():
            manifest.put_files(rows)
        progress("reading sources", min(start + BATCH, len(todo)), len(todo))


def plan(manifest: Manifest, options: Options) -> Plan:
    """Give every picture of the sources a place; a picture that has one keeps it."""
    work = _Placing(manifest, options)
    for found in work.found:
        if found.kind == "picture" and not found.problem:
            work.place(found)
        elif found.kind != "caption":
            reason, _, evidence = found.problem.partition(": ")
            work.row(found.path, None, reason, evidence)
    work.keep_vanished()
    beside: dict[str, list[str]] = {}
    for source, image in work.images.items():
        beside.setdefault(_stem(source), []).append(image.path)
    for found in work.found:
        if found.kind == "caption":
            work.take_caption(found, beside.get(_stem(found.path), []))
    images = tuple(sorted(work.images.values(), key=lambda image: image.path))
    return Plan(
        NAME,
        ("placed",),
        tuple(work.decisions),
        images=images,
        links=tuple(work.links),
        captions=tuple(work.captions),
        notes=tuple(work.notes()),
    )


class _Placing:
    """A plan in the making: what has been given away so far."""

    def __init__(self, manifest: Manifest, options: Options) -> None:
        self.manifest, self.options = manifest, options
        self.found = _scan(manifest, options)
        self.concepts = _concepts(self.found, options)
        self.before = {image.source: image for image in manifest.images()}
        self.rows_before = manifest.decisions("placed")
        self.known = manifest.known_files()
        captions = manifest.captions()
        self.human = {path: human.strip() for path, (_, _, human) in captions.items() if human is not None}
        self.written = {path: written.strip() for path, (_, written, _) in captions.items() if written is not None}
        self.decisions: list[Decision] = []
        self.images: dict[str, Image] = {}
        self.links: list[Link] = []
        self.captions: list[tuple[str, str]] = []
        sources = {found.path: found for found in self.found}
        self.taken = {
            _key(image.path)
            for image in self.before.values()
            if image.source not in sources or self.concepts[sources[image.source].concept] == image.concept
        }

    def row(self, source: str, value: str | None, reason: str, evidence: str = "") -> None:
        self.decisions.append(Decision(source, "placed", value, reason, evidence))

    def place(self, found: Found) -> None:
        content = self.content(found)
        if not content:
            self.row(found.path, None, "cannot be read")
            return
        concept, before = self.concepts[found.concept], self.before.get(found.path)
        if before is not None and before.concept == concept:
            self.stay(found, before, content)
            return
        path, reason = self.free_path(found, concept)
        self.taken.add(_key(path))
        self.images[found.path] = Image(path, concept, found.path, content, found.bytes, self.kind_of_link(found))
        self.links.append(Link(found.path, path))
        self.row(found.path, path, reason)

    def stay(self, found: Found, before: Image, content: str) -> None:
        """Leave a picture at its place; link it anew if it is lost or its source changed, unless a person edited it."""
        target, was = self.manifest.root / before.path, self.reason_before(found.path)
        lost = not target.exists()
        edited = (
            not lost and not target.samefile(found.path) and (was == EDITED or target.stat().st_size != before.bytes)
        )
        if edited:
            self.images[found.path] = replace(before, content=file_digest(target), bytes=target.stat().st_size)
        else:
            self.images[found.path] = replace(before, content=content, bytes=found.bytes)
            if lost or content != before.content:
                self.links.append(Link(found.path, before.path))
        self.row(found.path, before.path, EDITED if edited else "placed" if was in (EDITED, VANISHED) else was)

    def reason_before(self, source: str) -> str:
        return self.rows_before[source].reason if source in self.rows_before else "placed"

    def free_path(self, found: Found, concept: str) -> tuple[str, str]:
        """A place that no other picture has or had, and why it is called so."""
        stem, extension = Path(found.path).stem, Path(found.path).suffix
        if found.extension:
            stem, extension = stem + extension, found.extension
        folder, name = safe(flat(concept)), safe(stem)
        reason = "renamed, unsafe name" if name != stem or folder != flat(concept) else "placed"
        reason = "extension from content" if found.extension and reason == "placed" else reason
        path, number = f"images/{folder}/{name}{extension.lower()}", 1
        while _key(path) in self.taken or not self.is_free(path, found):
            number += 1
            path, reason = f"images/{folder}/{name} ({number}){extension.lower()}", "renamed, name taken"
        return path, reason

    def is_free(self, path: str, found: Found) -> bool:
        target = self.manifest.root / path
        return not os.path.lexists(target) or same_content(target, Path(found.path))

    def content(self, found: Found) -> str:
        size, modified, content = self.known.get(found.path, (-1, -1, ""))
        return content if (size, modified) == (found.bytes, found.modified) else _digest(found.path)

    def kind_of_link(self, found: Found) -> str:
        root = next(folder for folder in self.manifest.root.absolute().joinpath("x").parents if folder.exists())
        return "hardlink" if root.stat().st_dev == found.device else "copy"

    def keep_vanished(self) -> None:
        """Pictures whose source is gone stay as long as the set has them, unless the source only moved."""
        present = {found.path for found in self.found}
        moved = {image.content: image.path for image in self.images.values() if image.source not in self.before}
        for source, image in self.before.items():
            if source in present:
                continue
            if not any(Path(source).is_relative_to(folder) for folder in self.options.sources):
                self.row(source, None, DISOWNED)
            elif image.content in moved:
                self.row(source, None, MOVED, moved[image.content])
                self.follow(image.path, moved[image.content])
            elif (self.manifest.root / image.path).exists():
                self.images[source] = image
                self.row(source, image.path, VANISHED)
            else:
                self.row(source, None, VANISHED, "and the picture in the set too")
        self.decisions += [
            row
            for source, row in self.rows_before.items()
            if row.reason in (VANISHED, MOVED, DISOWNED) and source not in present and source not in self.before
        ]

    def follow(self, before: str, now: str) -> None:
        """Let a person's caption go with a picture whose source moved."""
        if before in self.human and now not in self.human:
            self.captions.append((now, self.human[before]))

    def take_caption(self, found: Found, paths: list[str]) -> None:
        """Bring a caption file to the pictures it lies beside, unless the set holds another text already."""
        if not paths:
            self.row(found.path, None, "text without a picture")
            return
        try:
            text = Path(found.path).read_bytes().decode("utf-8-sig").strip()
        except (UnicodeDecodeError, OSError) as error:
            reason = "caption is not UTF-8" if isinstance(error, UnicodeDecodeError) else "caption cannot be read"
            self.row(found.path, None, reason, str(error))
            return
        if not text:
            self.row(found.path, None, "caption is empty")
            return
        theirs = [path for path in paths if self.caption_in_set(path) not in (None, text)]
        self.captions += [(path, text) for path in paths if path not in theirs and path not in self.human]
        where = _stem(paths[0]) + ".txt"
        self.row(found.path, where, "caption in the set differs and stays" if theirs else "caption taken in")

    def caption_in_set(self, path: str) -> str | None:
        """What a person wrote for a picture of the set; None where only prep or nobody did."""
        if path in self.human:
            return self.human[path]
        try:
            text = (self.manifest.root / path).with_suffix(".txt").read_text(encoding="utf-8-sig").strip()
        except FileNotFoundError:
            return None
        except (UnicodeDecodeError, OSError):
            return ""
        return None if text == self.written.get(path) else text

    def notes(self) -> list[str]:
        counts = Counter(decision.reason for decision in self.decisions)
        sentences = {
            VANISHED: "pictures that stay in the set though their source is gone: {n}",
            DISOWNED: "pictures that left the set, as their folder is no longer a source (the files stay): {n}",
            MOVED: "pictures that moved in the sources (their old files in the set stay, unused): {n}",
            "caption is not UTF-8": "caption files left out because they are not UTF-8; save them as UTF-8: {n}",
            "name is not UTF-8": "files left out because their names are not UTF-8; rename them: {n}",
            "folder cannot be read": "folders that cannot be read: {n}",
            "cannot be read": "files that cannot be read: {n}",
        }
        found = [sentence.format(n=counts[reason]) for reason, sentence in sentences.items() if counts[reason]]
        stripped = sorted(f"{name} → {concept}" for name, concept in self.concepts.items() if name != concept)
        if stripped:
            more = " …" if len(stripped) > 8 else ""
            found.append(f"repeats taken off folder names: {', '.join(stripped[:8])}{more}")
        expected = {image.path for images in (self.images, self.before) for image in images.values()}
        strangers = sorted(_pictures_in(self.manifest.root) - expected)
        if strangers:
            found.append(
                f"pictures in images/ that have no source and are not used, such as {strangers[0]}; "
                f"put them in a source folder: {len(strangers)}"
            )
        return found if self.images else [*found, "no picture was found"]


def _scan(manifest: Manifest, options: Options) -> tuple[Found, ...]:
    if not options.sources:
        raise PrepError(
            "no source folders",
            'name them, prep flatten FOLDER... SET, or list them under [set] in prep.toml: sources = ["FOLDER"]',
        )
    known = [image.source for image in manifest.images()]
    for source in options.sources:
        if not source.is_dir() and not any(Path(path).is_relative_to(source) for path in known):
            raise PrepError(f"no folder {source}", "mend the sources, on the command line or under [set] in prep.toml")
    inside = manifest.root.absolute()
    found = scan(source for source in options.sources if source.is_dir())
    return tuple(each for each in found if not Path(each.path).is_relative_to(inside / "images"))


def _concepts(found: tuple[Found, ...], options: Options) -> Mapping[str, str]:
    """Folder path as scanned → concept: as it is, or without the repeats that a leaf folder's name begins with."""
    holding = {each.concept for each in found if each.kind == "picture" and not each.problem}
    inner = {"/".join(concept.split("/")[:depth]) for concept in holding for depth in range(1, concept.count("/") + 1)}
    concepts = {}
    for concept in {each.concept for each in found}:
        above, _, name = concept.rpartition("/")
        numbered = without_repeats(name) if options.repeats_in_names and concept in holding - inner else None
        concepts[concept] = "/".join(filter(None, (above, concept_of(numbered[1])))) if numbered else concept
    return concepts


def _on_disk(manifest: Manifest, image: Image) -> int:
    """A picture's bytes in the set, -1 when it is not there."""
    try:
        return (manifest.root / image.path).stat().st_size
    except OSError:
        return -1


def _pictures_in(root: Path) -> set[str]:
    files = (root / "images").glob("*/*")
    return {path.relative_to(root).as_posix() for path in files if path.suffix.lower() in EXTENSIONS}


def _digest(path: str) -> str:
    """The content's SHA-256, "" for a file that cannot be read."""
    try:
        return file_digest(Path(path))
    except OSError:
        return ""


def _key(path: str) -> str:
    """Two pictures with equal keys would share a file or a caption on some file system."""
    return same_file_key(_stem(path))


def _stem(path: str) -> str:
    """A path without the extension."""
    return path.removesuffix(PurePath(path).suffix)
