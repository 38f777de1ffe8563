"""Regularization pictures for kohya-ss/sd-scripts: folders `N_a~b~c` whose numbers together come to as many showings as
those of the pictures they go beside.

sd-scripts counts both: of regularization pictures it takes one after the other, each with its repeats, until there are as
many showings as of pictures to be trained on; what comes later is never shown, and where there are fewer, each gets one
repeat more, from the first on, until it is even. So a picture's repeats are shared among its twins and rounded down.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pipeline.export.contents import Sample, Twin
from pipeline.export.kohya_config import Subset
from pipeline.export.naming import CAPTION, Names
from pipeline.export.wanted import Crop, Picture, Request, Text, Wanted

REGULARIZATION = "regularization"
Key = tuple[str, tuple[int, ...], tuple[int, ...]]
"""Path in the set, and what it is scaled to and cut to where files of crops are wanted."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What an export holds beside the pictures to be trained on."""

    files: tuple[Wanted, ...]
    subsets: tuple[Subset, ...]
    notes: tuple[str, ...]


def lay_out_twins(samples: Sequence[Sample], request: Request, names: Names, keep: int | None) -> Beside:
    """The folders of regularization pictures, each picture once however many it is shown beside.

    Args:
        keep: how many tags stay in front; the fewest trigger words of a folder's captions if not given.
    """
    files: list[Wanted] = []
    subsets = []
    counts = []
    for (folder, repeat), twins in sorted(_groups(samples, request).items()):
        place = names.folder(f"{REGULARIZATION}/{repeat}_{folder}")
        for twin in twins:
            files += _files(twin, place, request, names)
        front = min(twin.triggers for twin in twins) if keep is None else keep
        subsets.append(Subset(place, repeat, front, None, is_regularization=True))
        counts.append((repeat, len(twins)))
    return Beside(tuple(files), tuple(subsets), tuple(_notes(samples, counts)))


def _groups(samples: Sequence[Sample], request: Request) -> dict[tuple[str, int], list[Twin]]:
    """(folder in the set, repeat) → the pictures there that are shown so often, in order of path."""
    found: dict[Key, Twin] = {}
    showings: dict[Key, Fraction] = {}
    for sample in samples:
        for twin in sample.twins:
            key = _key(twin, request)
            found.setdefault(key, twin)
            showings[key] = showings.get(key, Fraction(0)) + Fraction(sample.repeat, len(sample.twins))
    groups: dict[tuple[str, int], list[Twin]] = {}
    for key in sorted(found):
        folder = key[0].split("/")[-2]
        groups.setdefault((folder, max(1, int(showings[key]))), []).append(found[key])
    return groups


def _key(twin: Twin, request: Request) -> Key:
    if twin.bucket is None or not request.crops:
        return twin.path, (), ()
    return twin.path, tuple(twin.bucket["scaled"]), tuple(twin.bucket["crop"])


def _files(twin: Twin, folder: str, request: Request, names: Names) -> Iterator[Wanted]:
    """A picture as it is or as its crop, and its caption."""
    stem, _, extension = twin.path.rpartition("/")[2].rpartition(".")
    source = request.source(twin.path)
    if request.crops and twin.bucket is not None:
        width, height = twin.bucket["size"]
        path = names.file(folder, f"{stem}-{width}x{height}", ".png", CAPTION)
        yield Crop(f"{path}.png", source, twin.stamp, twin.bucket)
    else:
        path = names.file(folder, stem, f".{extension}", CAPTION)
        yield Picture(f"{path}.{extension}", source, twin.stamp)
    if twin.caption:
        yield Text(path + CAPTION, f"{twin.caption}\n".encode())


def _notes(samples: Sequence[Sample], counts: Sequence[tuple[int, int]]) -> Iterator[str]:
    """Sentences on what sd-scripts makes of these; `counts` are (repeat, pictures) of the folders in their order."""
    bare = sum(not sample.twins for sample in samples)
    if 0 < bare < len(samples):
        yield (
            f"{len(samples) - bare} of {len(samples)} pictures have a regularization picture; sd-scripts shows those more "
            "often, until there are as many of both"
        )
    unused = _unused(sum(sample.repeat for sample in samples), counts)
    if unused:
        yield (
            f"regularization pictures that sd-scripts never shows, as it stops when there are as many showings as of "
            f"pictures to be trained on: {unused} of {sum(count for _, count in counts)}; prep train shows all of them in turn"
        )


def _unused(wanted: int, counts: Sequence[tuple[int, int]]) -> int:
    """How many pictures are left over once there are enough showings."""
    left = wanted
    unused = 0
    for repeat, count in counts:
        used = min(count, max(0, -(-left // repeat)))
        unused += count - used
        left -= used * repeat
    return unused
