"""Images beside images that are not to be trained on: masks, and what cameras, NAS boxes and programs keep for themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pipeline.core.filenames import same_file_key
from pipeline.sources.source_file import IMAGE, Found, cut, without_extension
from pipeline.store.reasons.placement import PlacementReason as P
from pipeline.store.reasons.reason import Cause

MASK_ENDS = ("-masklabel", "_masklabel", "-condlabel", "_condlabel", ".mask", "-mask", "_mask")
"""How a mask is named after its image: OneTrainer's endings, then those of other tools."""
MASK_FOLDERS = frozenset({"mask", "masks", "_mask", "_masks"})
HOUSEKEEPING = frozenset(
    {
        "@eadir",
        "__macosx",
        "#recycle",
        "@recycle",
        "$recycle.bin",
        "lost+found",
        "system volume information",
        "captureone",
    }
)
"""Folders in which systems and programs keep previews and what was deleted, in small letters."""
CATALOGUES = (".lrdata", ".cocatalog", ".photoslibrary", ".aplibrary")
"""Ends of folders that are a program's own: Lightroom's previews, catalogues of Capture One and Photos."""


def is_housekeeping(folder: str) -> bool:
    """Whether a folder of this name holds no images of a person's."""
    name = folder.lower()
    return name in HOUSEKEEPING or name.endswith(CATALOGUES)


def with_masks(found: Sequence[Found]) -> list[Found]:
    """Every mask whose image is there, with the reason that it belongs to it; all others as they are."""
    stems = {_stem(each): each for each in found if each.kind == IMAGE and not each.problem}
    return [_as_mask(each, _owner(each, stems)) for each in found]


def is_mask(found: Found) -> bool:
    """Whether a file was told to be a mask."""
    return found.problem is not None and found.problem.reason == P.MASK


def mask_owners(found: Sequence[Found]) -> dict[str, str]:
    """Mask → the image that it is of, by path, of what `with_masks` gave."""
    stems = {_stem(each): each for each in found if each.kind == IMAGE and not each.problem}
    masks = [each for each in found if is_mask(each)]
    owners = {each.path: _named(each, stems) for each in masks}
    return {path: owner.path for path, owner in owners.items() if owner is not None}


def _stem(found: Found) -> str:
    return same_file_key(without_extension(found.path))


def _as_mask(found: Found, owner: Found | None) -> Found:
    if owner is None:
        return found
    return replace(found, kind="", problem=Cause(P.MASK, {"of": owner.name}))


def _owner(found: Found, stems: dict[str, Found]) -> Found | None:
    """The image that another one is the mask of, None where it is an image for itself."""
    if found.kind != IMAGE or found.problem:
        return None
    return _named(found, stems)


def _named(found: Found, stems: dict[str, Found]) -> Found | None:
    return next((stems[name] for name in _named_after(found) if name in stems and stems[name] is not found), None)


def _named_after(found: Found) -> Iterable[str]:
    stem = without_extension(found.path)
    for end in MASK_ENDS:
        if stem.lower().endswith(end) and len(cut(stem)[1]) > len(end):
            yield same_file_key(stem[: -len(end)])
    folder, name = cut(stem)
    above, last = cut(folder)
    if last.lower() in MASK_FOLDERS and above:
        yield same_file_key(above + stem[len(folder) : len(folder) + 1] + name)
