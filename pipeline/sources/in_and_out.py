"""Images that left a set or came into it without prep: each in one state, with the command that settles it."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.images.on_disk import missing_images
from pipeline.sources.import_warnings import images_in
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.placement import PlacementReason as P


def states(manifest: Manifest) -> dict[str, list[str]]:
    """`deleted`: gone from images/; `source gone`: the original is not there any more; `stray`: in images/, but of no source."""
    images = manifest.images()
    rows = manifest.decisions("imported")
    known = {image.path for image in images}
    return {
        "deleted": sorted(missing_images(manifest.root, images)),
        "source gone": sorted(row.value for row in rows.values() if row.reason == P.SOURCE_VANISHED and row.value),
        "stray": sorted(images_in(manifest.root) - known - manifest.former_images()),
    }


def sentences(manifest: Manifest) -> Iterator[str]:
    """The states that some image is in, how many, and what to type."""
    root, found = manifest.root, states(manifest)
    says = {
        "deleted": f"brought back by prep flatten {root}, left out for good by prep flatten --prune {root}",
        "source gone": f"they stay and are trained on; prep flatten --prune {root} takes them out",
        "stray": "not trained on; put them into a source folder to use them",
    }
    for state, paths in found.items():
        if paths:
            yield f"{state}: {len(paths)}, such as {paths[0]}; {says[state]}"
