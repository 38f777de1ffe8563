"""Masks: brought into the set beside their images, masks/CONCEPT/NAME for images/CONCEPT/NAME, for masked training later.

They are decided on like images, in a row that names the image, but they are none: nothing measures, tags or trains on them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from pipeline.sources.auxiliary import mask_owners
from pipeline.sources.known_contents import content_of
from pipeline.sources.placement import Placing
from pipeline.sources.source_file import Found, extension_of
from pipeline.store.reasons.placement import PlacementReason as P
from pipeline.store.records import Decision, Image, Link

FOLDER = "masks"


def place_masks(placing: Placing, found: Sequence[Found], known: Mapping[str, tuple[int, int, str]]) -> list[Found]:
    """Give the masks of images that have a place one beside it, and return those; `known` as in `content_of`.

    A mask that is there stays as it is, edited or not, until its source holds something else. One whose image has no place
    keeps its row without one.
    """
    owners = mask_owners(found)
    brought: dict[str, Decision] = {}
    taken: set[str] = set()
    masks: list[Found] = []
    for mask in found:
        image = placing.images.get(owners.get(mask.path, ""))
        path = _beside(image, mask) if image else ""
        if not path or path in taken:
            continue
        taken.add(path)
        masks.append(mask)
        content = content_of(mask, known)
        before = placing.rows_before.get(mask.path)
        same = before is not None and before.value == path and before.data.get("content") == content
        if not (same and os.path.lexists(placing.manifest.root / path)):
            placing.links.append(Link(mask.place, path, placing.how))
        data = {"of": PurePosixPath(owners[mask.path].replace(os.sep, "/")).name, "content": content}
        brought[mask.path] = Decision(mask.path, "imported", path, P.MASK, data)
    placing.rows = [brought.get(row.path, row) for row in placing.rows]
    return masks


def _beside(image: Image, mask: Found) -> str:
    """masks/CONCEPT/NAME with the mask's own extension, for images/CONCEPT/NAME."""
    place = PurePosixPath(image.path)
    extension = (mask.extension or extension_of(mask.name)).lower()
    return PurePosixPath(FOLDER, *place.parts[1:]).with_name(place.stem + extension).as_posix()
