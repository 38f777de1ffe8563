"""Which kept images belong together: near-duplicates, and images cut from one file. One of a group says much about
the others, so a loss that is measured on one means nothing when another is trained on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pipeline.images.duplicates import MIN_HASH_QUALITY
from pipeline.store.manifest import Manifest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RADIUS = 31
"""Bits between the PDQ hashes of images that belong together at most; up to it PDQ's authors take two for the same
content. It is wider than what `prep check` drops: another expression or another colour is no copy, but gives away as
much."""
CLOSE = 8
"""Bits up to which an image's neighbours are taken to be those of the image beside it, so that thousands of frames of
one scene are not each compared with all others; images at most RADIUS - CLOSE bits apart are always found."""


def near_groups(manifest: Manifest, paths: Iterable[str]) -> dict[str, int]:
    """The number of each image's group, counted from 0 in order of path. Images of equal content, of one source file,
    or near each other by their hashes are of one group, and so is what is linked to it by others.

    An image that `prep check` has not measured, or that holds too little to be distinguished from others, is near none by hash.

    Args:
        paths: the images to be grouped; those that are not in the set are an error of the program.
    """
    import numpy as np

    wanted = sorted(set(paths))
    images = {image.path: image for image in manifest.images()}
    groups = Groups(len(wanted))
    for name in ("content", "source"):
        _join_equal(groups, [getattr(images[path], name) for path in wanted])
    measured = manifest.measured("phash", "hash_quality", "problem")
    rows = [measured.get(images[path].content, ("", 0, "")) for path in wanted]
    telling = [phash if quality >= MIN_HASH_QUALITY and not problem else "" for phash, quality, problem in rows]
    hashed = _join_equal(groups, telling)
    places = np.fromiter(hashed.values(), np.int64, len(hashed))
    for one, other in near_links(list(hashed)):
        groups.join(int(places[one]), places[other])
    numbers: dict[int, int] = {}
    return {
        path: numbers.setdefault(label, len(numbers))
        for path, label in zip(wanted, groups.labels.tolist(), strict=True)
    }


def _join_equal(groups: Groups, values: Sequence[str]) -> dict[str, int]:
    """Join items of equal value, but for "", and return the first place of every value."""
    import numpy as np

    first: dict[str, int] = {}
    for place, value in enumerate(values):
        if value and first.setdefault(value, place) != place:
            groups.join(place, np.array([first[value]]))
    return first


class Groups:
    """Items that are joined into ever larger groups; `labels` (n,) holds the group of each."""

    def __init__(self, count: int) -> None:
        import numpy as np

        self.labels: NDArray[np.int64] = np.arange(count)
        self._members = [[place] for place in range(count)]

    def join(self, item: int, others: NDArray[np.int64]) -> None:
        """Put the item's group and those of the others together; the smaller ones go into the largest, so that nothing is
        relabelled more than log n times."""
        import numpy as np

        found = [int(label) for label in np.unique(np.append(self.labels[others], self.labels[item]))]
        largest = max(found, key=lambda label: len(self._members[label]))
        for label in found:
            if label != largest:
                self.labels[self._members[label]] = largest
                self._members[largest] += self._members[label]
                self._members[label] = []


def near_links(hashes: Sequence[str]) -> list[tuple[int, NDArray[np.int64]]]:
    """(place, places of later ones near to it) for hashes of 64 hex digits; together they link all that are near, as far
    as CLOSE allows."""
    import numpy as np

    from pipeline.images.band_index import BITS
    from pipeline.images.hash_index import near_pairs

    if len(hashes) < 2:
        return []
    rows = np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8).reshape(len(hashes), BITS // 8)
    asking, found = np.ones(len(rows), dtype=bool), []
    for a, b, distance in near_pairs(rows, RADIUS, asking):
        for row, others, bits in _by_row(a, b, distance):
            if asking[row]:
                found.append((row, others))
                asking[others[bits <= CLOSE]] = False
    return found


def _by_row(
    a: NDArray[np.int64], b: NDArray[np.int64], distance: NDArray[np.int64]
) -> list[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
    import numpy as np

    rows, starts = np.unique(a, return_index=True)
    return list(zip(rows.tolist(), np.split(b, starts[1:]), np.split(distance, starts[1:]), strict=False))
