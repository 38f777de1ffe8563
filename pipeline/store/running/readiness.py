"""What has to be decided about every kept image before it can be trained on."""

from __future__ import annotations

from pipeline.core.errors import PrepError
from pipeline.store.manifest import Manifest

NEEDED = (("bucket", "bucket"), ("caption", "curate"), ("repeats", "balance"))
"""(field, the stage that decides it)"""


def all_decided(manifest: Manifest) -> None:
    """See that every kept image has a bucket, a caption and repeats.

    Raises:
        PrepError: some have not; the message names the first, and what to type.
    """
    odd = {path: row for path, row in manifest.decisions("manual_caption").items() if row.value is None}
    for field, stage in NEEDED:
        missing = manifest.without(field)
        unreadable = [path for path in missing if field == "caption" and path in odd]
        if unreadable:
            raise PrepError(
                f"{len(unreadable)} kept images have a caption file that is not UTF-8, the first is {unreadable[0]}",
                f"save it as UTF-8, or delete it for prep to write one; then run: prep {stage} {manifest.root}",
            )
        if missing:
            raise PrepError(
                f"{len(missing)} kept images have no {field}, the first is {missing[0]}",
                f"run: prep {stage} {manifest.root}",
            )
