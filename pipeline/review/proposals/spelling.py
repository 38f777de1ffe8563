"""Tags that look misspelt, or like another way to write a known one."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.review.proposals.proposal import Answer, Deed, Proposal
from pipeline.store.manifest import Manifest
from pipeline.tags.editor.filters import Filter, select
from pipeline.tags.editor.queries import misspelt_in

KIND = "spelling"


def find(manifest: Manifest) -> Iterator[Proposal]:
    """One for every tag that looks misspelt, those of most images first."""
    selection = select(manifest, Filter())
    for line in misspelt_in(manifest, selection):
        tag, meant = line["tag"], line["meant"]
        paths = tuple(shown.path for shown in selection.images if tag in shown.tags)
        yield Proposal(
            KIND,
            f"{tag}:{meant}",
            f"{tag} looks like {meant}",
            (line["why"], f"in {len(paths)} caption{'s' if len(paths) != 1 else ''}"),
            paths,
            (
                Answer(f"write {meant} instead", (Deed(paths, {"replace": [tag, meant]}),)),
                Answer(f"take {tag} out", (Deed(paths, {"remove": [tag]}),)),
            ),
            "tags that look misspelt",
            reject=f"{tag} is right",
        )
