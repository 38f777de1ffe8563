"""Places for images in a set: an image that has one keeps it, no two share one, nothing is overwritten."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.core.filenames import flat, safe, same_file_key
from pipeline.core.files import file_digest, same_content
from pipeline.core.links import How, shares_blocks
from pipeline.sources.known_contents import content_of
from pipeline.sources.source_file import IMAGE, Found, cut, extension_of, without_extension
from pipeline.sources.source_list import holds
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.placement import PlacementReason as P
from pipeline.store.reasons.reason import NOTHING, Cause, Data
from pipeline.store.records import Decision, Image, Link

GONE = (P.SOURCE_VANISHED, P.MOVED, P.NO_LONGER_A_SOURCE, P.PRUNED)
"""Why a source that is not there any more has a row."""


@dataclass(slots=True)
class Placing:
    """Places being given away. `images` is source → image, `moved` the place of an image whose source is gone → its
    new place."""

    manifest: Manifest
    sources: tuple[str, ...]
    how: How
    present: set[str]
    """Everything there is in the sources now, by path."""
    concepts: dict[str, str]
    """Image → its concept now."""
    names: dict[str, str] = field(default_factory=dict)
    """Image → what it is called, where that is not its file's name."""
    prune: bool = False
    """Take out images whose source is gone, and those that were deleted from the set."""
    images: dict[str, Image] = field(default_factory=dict)
    rows: list[Decision] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    moved: dict[str, str] = field(default_factory=dict)

    before: dict[str, Image] = field(init=False)
    rows_before: dict[str, Decision] = field(init=False)
    _taken: set[str] = field(init=False)
    _gone: dict[tuple[str, str], list[Image]] = field(init=False)
    _numbers: dict[str, int] = field(default_factory=dict)
    _disks: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.before = {image.source: image for image in self.manifest.images()}
        self.rows_before = self.manifest.decisions("imported")
        stays = [
            image
            for source, image in self.before.items()
            if source not in self.present or self.concepts.get(source) == image.concept
        ]
        self._taken = {place_key(image.path) for image in stays}
        self._gone = {}
        for image in reversed(stays):
            if image.source not in self.present:
                self._gone.setdefault((image.content, image.concept), []).append(image)

    def row(self, source: str, value: str | None, reason: P, data: Data = NOTHING) -> None:
        self.rows.append(Decision(source, "imported", value, reason, data))

    def leave_out(self, path: str, cause: Cause) -> None:
        self.row(path, None, P(cause.reason), cause.data)

    def place_all(self, found: Iterable[Found], known: Mapping[str, tuple[int, int, str]]) -> None:
        """Give every image a place, and every file that cannot be used a row; `known` as in `content_of`."""
        for each in found:
            if each.problem:
                self.leave_out(each.path, each.problem)
            elif each.kind == IMAGE:
                content = content_of(each, known)
                if content:
                    self.place(each, content)
                else:
                    self.leave_out(each.path, Cause(P.UNREADABLE))
        self.keep_vanished()

    def place(self, found: Found, content: str) -> None:
        """Give an image a place: the one it has, that of an image whose source is gone and that it repeats, or a new
        one."""
        concept, before = self.concepts[found.path], self.before.get(found.path)
        if before is None and self._was_deleted(found):
            self.row(found.path, None, P.DELETED_IN_SET)
            return
        gone = self._gone.get((content, concept))
        if before is not None and before.concept == concept:
            self._stay(found, before, content)
        elif before is None and gone:
            self._stay(found, gone.pop(), content)
        else:
            path, reason = self._free_path(found, concept)
            self._taken.add(place_key(path))
            self.images[found.path] = Image(path, concept, found.path, content, found.bytes, self._expected_link(found))
            self.links.append(Link(found.place, path, self.how))
            self.row(found.path, path, reason, {"link": found.link} if found.link else NOTHING)

    def _was_deleted(self, found: Found) -> bool:
        """Whether a person deleted this image from the set, and has not put it there again."""
        row = self.rows_before.get(found.path)
        return row is not None and row.reason == P.DELETED_IN_SET

    def _stay(self, found: Found, before: Image, content: str) -> None:
        """Leave an image at its place; link it anew if it is lost or its source changed, unless a person edited it."""
        target, row = self.manifest.root / before.path, self.rows_before.get(found.path)
        was = P(row.reason) if row and row.reason in P else P.IMPORTED
        lost = not target.exists()
        if lost and (self.prune or was == P.DELETED_IN_SET):
            self.row(found.path, None, P.DELETED_IN_SET)
            return
        edited = (
            not lost
            and not target.samefile(found.place)
            and (was == P.EDITED_IN_SET or target.stat().st_size != before.bytes)
        )
        image = replace(before, source=found.path, content=content, bytes=found.bytes)
        if edited:
            image = replace(image, content=file_digest(target), bytes=target.stat().st_size)
        elif lost or content != before.content or self.how not in ("auto", before.link):
            self.links.append(Link(found.place, before.path, self.how))
        self.images[found.path] = image
        imported = was in (P.EDITED_IN_SET, P.SOURCE_VANISHED)
        reason = P.EDITED_IN_SET if edited else P.IMPORTED if imported else was
        self.row(found.path, before.path, reason, row.data if row and reason == was else NOTHING)

    def _free_path(self, found: Found, concept: str) -> tuple[str, P]:
        """A place that no other image has or had, and why it is called so."""
        extension = found.extension or extension_of(found.name)
        called = self.names.get(found.path, found.name)
        stem = called if found.extension else without_extension(called)
        stem = unicodedata.normalize("NFC", stem)
        folder, name = safe(flat(concept)), safe(stem)
        reason = P.RENAMED_UNSAFE if name != stem or folder != flat(concept) else P.IMPORTED
        reason = P.EXTENSION_FROM_CONTENT if found.extension and reason == P.IMPORTED else reason
        first = f"images/{folder}/{name}{extension.lower()}"
        key, path = place_key(first), first
        number = self._numbers.get(key, 1)
        while place_key(path) in self._taken or not self._is_free(path, found):
            number += 1
            path, reason = f"images/{folder}/{name} ({number}){extension.lower()}", P.RENAMED_TAKEN
        self._numbers[key] = number
        return path, reason

    def _is_free(self, path: str, found: Found) -> bool:
        target = self.manifest.root / path
        return not os.path.lexists(target) or same_content(target, Path(found.place))

    def _expected_link(self, found: Found) -> str:
        """How the file will probably come here; linking it tells for sure."""
        if self.how != "auto":
            return self.how
        folder = cut(found.place)[0] or "/"
        if folder not in self._disks:
            self._disks[folder] = Path(folder).stat().st_dev
        if "" not in self._disks:
            root = next(each for each in self.manifest.root.absolute().joinpath("x").parents if each.exists())
            self._disks[""] = root.stat().st_dev
        return "reflink" if self._disks[folder] == self._disks[""] and shares_blocks(self.manifest.root) else "copy"

    def keep_vanished(self) -> None:
        """Images whose source is gone stay as long as the set has them, unless the source only moved."""
        new = {image.content: image.path for image in self.images.values() if image.source not in self.before}
        for source, image in self.before.items():
            if source in self.present:
                continue
            if image.content in new:
                self.row(source, None, P.MOVED, {"to": new[image.content]})
                self.moved[image.path] = new[image.content]
            elif not any(holds(each, source) for each in self.sources):
                self.row(source, None, P.NO_LONGER_A_SOURCE)
            elif self.prune:
                self.row(source, None, P.PRUNED)
            elif (self.manifest.root / image.path).exists():
                self.images[source] = image
                self.row(source, image.path, P.SOURCE_VANISHED)
            else:
                self.row(source, None, P.SOURCE_VANISHED, {"image_gone": True})
        self.rows += [
            row
            for source, row in self.rows_before.items()
            if row.reason in GONE and source not in self.present and source not in self.before
        ]


def place_key(path: str) -> str:
    """Two images with equal keys would share a file or a caption on some file system."""
    return same_file_key(without_extension(path))
