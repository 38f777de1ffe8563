"""Traits that curation pruned into a trigger word: to stay pruned, or kept for them to be promptable."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.review.proposals.proposal import Answer, Deed, Proposal
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.tags import TagReason, core_figures
from pipeline.store.values.tags import TagAction, TagDecision

KIND = "trait"


def find(manifest: Manifest) -> Iterator[Proposal]:
    """One for every trait of a trigger word, in order of the two: the traits that the fewest images show first."""
    kept = {image.path for image in manifest.kept()}
    where: dict[tuple[str, str], list[str]] = {}
    said: dict[tuple[str, str], TagDecision] = {}
    for path, rows in manifest.values("tags", among=kept):
        for row in rows:
            if row.reason == TagReason.CORE and row.action == TagAction.DROPPED:
                where.setdefault((row.data["trigger"], row.tag), []).append(path)
                said[row.data["trigger"], row.tag] = row
    for (trigger, tag), paths in sorted(where.items()):
        yield _proposal(trigger, said[trigger, tag], tuple(paths))


def _proposal(trigger: str, row: TagDecision, paths: tuple[str, ...]) -> Proposal:
    figures = row.data
    shown = figures["shown"] / figures["images"] if figures.get("images") else 1.0
    prune = Answer(f"prune it into {trigger}", ())
    keep = Answer("keep it in the captions", (Deed(paths, {"add": [row.tag]}),))
    return Proposal(
        KIND,
        f"{trigger}:{row.tag}",
        f"{trigger}: {row.tag} is a core trait",
        (
            core_figures(figures),
            f"pruned, it comes with {trigger} and is not in {len(paths)} caption{'s' if len(paths) != 1 else ''}; "
            "kept, it can be prompted for and changed",
        ),
        paths,
        (prune, keep),
        f"traits of {trigger}",
        urgency=1.0 - shown,
        reject="decide later",
    )
