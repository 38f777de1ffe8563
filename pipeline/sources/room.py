"""The room that images take in a set, and what their links mean for the originals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.disk_space import free_bytes
from pipeline.core.errors import PrepError
from pipeline.core.humanize import in_words
from pipeline.core.links import How, shares_blocks
from pipeline.sources.source_file import Found
from pipeline.store.records import Link

TOLD = 64 * 2**20
"""Bytes of copies below which nothing is said."""


@dataclass(frozen=True, slots=True)
class Room:
    """Files about to be brought into a set: `links` with `how`, `images` the files of the sources."""

    root: Path
    how: How
    links: Sequence[Link]
    images: Mapping[str, Found]

    @property
    def copied(self) -> int:
        """Bytes that will be copied; none where the disk may share blocks."""
        if self.how == "copy" or (self.how == "auto" and not shares_blocks(self.root)):
            sizes = {each.place: each.bytes for each in self.images.values()}
            return sum(sizes.get(link.source, 0) for link in self.links)
        return 0

    def check(self) -> None:
        """See that the copies fit.

        Raises:
            PrepError: they do not.
        """
        free = free_bytes(self.root)
        if self.copied > free:
            raise PrepError(
                f"{len(self.links)} images of {in_words(self.copied)} are to be copied into {self.root}, where "
                f"{in_words(free)} are free",
                "make room, put the set on another disk, or give --link hardlink or symlink: these take no room, but an "
                "editor that saves in place in the set then changes the originals too",
            )

    def info(self) -> Iterator[str]:
        if self.copied >= TOLD:
            yield f"{len(self.links)} images are copied into the set, {in_words(self.copied)}; the originals stay untouched"

    def warnings(self) -> Iterator[str]:
        if self.links and self.how in ("hardlink", "symlink"):
            yield (
                f"{len(self.links)} images are the originals themselves, by {self.how}: an editor that saves in place in the "
                "set changes them too"
            )
