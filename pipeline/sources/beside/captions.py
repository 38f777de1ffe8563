"""Captions that come with images: the first sound caption file of each, else what a table says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.sources.beside.metadata_files import Described
from pipeline.sources.beside.sidecars import Beside, CaptionText, read_caption
from pipeline.sources.placement import Placing
from pipeline.sources.source_file import CAPTION, Found, cut, without_extension
from pipeline.store.caption_files import plain
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.captions import Origin
from pipeline.store.reasons.placement import PlacementReason as P


def import_captions(
    manifest: Manifest, placing: Placing, found: Sequence[Found], beside: Beside, described: Mapping[str, Described]
) -> dict[str, str]:
    """Path of an image in the set → the caption that comes with it; a row in `placing` for every caption file.

    Args:
        placing: the images, all placed.
        found: everything in the sources.
        described: image → what data files say of it.
    """
    importing = _Importing(manifest, placing, found, beside, described)
    importing.take_all()
    return importing.captions


class _Importing:
    """Captions being imported; one that a person wrote in the set stays."""

    def __init__(
        self,
        manifest: Manifest,
        placing: Placing,
        found: Sequence[Found],
        beside: Beside,
        described: Mapping[str, Described],
    ) -> None:
        self.manifest, self.placing, self.found = manifest, placing, found
        self.beside, self.described = beside, described
        self.captions: dict[str, str] = {}
        rows = manifest.decisions("manual_caption")
        self.manual = {path: plain(text) for path, text in manifest.manual_captions().items()}
        self.came = {path for path, row in rows.items() if row.data.get("origin") == Origin.CAME_WITH_IMAGE}
        self.written = manifest.written()

    def take_all(self) -> None:
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
        for source, row in self.described.items():
            if row.caption and source in images and not winners.get(source):
                self._take(images[source].path, row.caption)
        for before, now in self.placing.moved.items():
            if before != now and before in self.manual and now not in self.manual:
                self.captions.setdefault(now, self.manifest.manual_captions()[before])

    def _caption_row(
        self, found: Found, texts: Mapping[str, CaptionText], owners: list[str], winners: Mapping[str, str]
    ) -> None:
        caption, row = texts[found.path], self.placing.row
        if not owners:
            row(found.path, None, P.CAPTION_WITHOUT_IMAGE)
            return
        if caption.problem:
            self.placing.leave_out(found.path, caption.problem)
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
        if path not in self.manual or there is None:
            self.captions[path] = text
        return True

    def _in_set(self, path: str) -> str | None:
        """What a person wrote in the set for an image; None where only prep, an earlier flatten, or nobody did."""
        if path in self.manual:
            return self.manual[path] if path not in self.came else None
        if path in self.written:
            return None
        try:
            return (self.manifest.root / path).with_suffix(".txt").read_text(encoding="utf-8-sig").strip()
        except FileNotFoundError:
            return None
        except (UnicodeDecodeError, OSError):
            return ""
