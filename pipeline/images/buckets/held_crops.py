"""Crops of a whole set moved to hold faces, and notes on anchors that hold nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.images.buckets import crop_anchors as holding
from pipeline.images.buckets.buckets import Sizes
from pipeline.images.buckets.kept_images import KeptImages


def anchor_notes(kept: KeptImages, picked: holding.Choice, scaled: Sizes, sizes: Sizes) -> Iterator[str]:
    """Notes: anchors that fit no image, and crops whose subject is not kept."""
    for key in picked.unused:
        yield f"anchors: no kept image fits {key!r}; name it by its path in the set, such as {kept.paths[0]}"
    wanted = np.array([name.strip() == holding.SUBJECT for name in picked.names], bool)
    blind = np.flatnonzero(wanted & ~kept.seen & np.any(scaled > sizes, axis=1))
    if len(blind):
        yield (
            f"the detail of {len(blind)} of {len(kept.paths)} images was not measured, such as "
            f"{kept.paths[blind[0]]}; their crops are taken from the middle until you run: prep check SET --force"
        )


def keep_faces(kept: KeptImages, scaled: Sizes, sizes: Sizes, corners: Sizes, names: list[str]) -> list[str]:
    """Move crops to hold the faces that file names tell of; gives warnings."""
    found, large = 0, []
    for place, source in enumerate(kept.sources):
        box = holding.box_in_name(source)
        if box is None:
            continue
        image, whole, size, corner = (
            (int(each[place, 0]), int(each[place, 1])) for each in (kept.images, scaled, sizes, corners)
        )
        face = holding.face_in(box, image)
        if face is None:
            continue
        found += 1
        corners[place] = holding.keep_face(corner, face, image, whole, size)
        names[place] = holding.FACE
        if any((face[axis + 2] - face[axis]) * whole[axis] > size[axis] * image[axis] for axis in (0, 1)):
            large.append(kept.paths[place])
    if not found:
        return ["faces_in_names: no file name ends in a face, _cx_cy_w_h, that lies in its image"]
    return [f"{len(large)} of {found} faces are larger than their crop, such as in {large[0]}"] if large else []
