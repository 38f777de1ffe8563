"""Tags that contradict the other images of a concept, or each other: put right, or taken out."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.review.proposals.proposal import Answer, Deed, Proposal
from pipeline.store.caption_files import captions
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.tags import contradiction_figures
from pipeline.store.values.contradiction import Contradiction
from pipeline.tags.editor.spelling import alike
from pipeline.tags.vocabulary.aliases import split_caption

KIND = "contradiction"


def find(manifest: Manifest) -> Iterator[Proposal]:
    """One for every contradiction that stands in a caption still, those that most images are against first."""
    texts = captions(manifest)
    for path, found in manifest.values("contradictions"):
        tags = {alike(tag) for tag in split_caption(texts.get(path, ""))}
        for each in found:
            if not each.fixed and _stands(each, tags):
                yield _proposal(path, each)


def _stands(found: Contradiction, tags: set[str]) -> bool:
    """Whether the caption says still what was found odd."""
    if not found.rival:
        return alike(found.dominant) not in tags
    both = found.fix in ("drop", "look") and not found.total
    return alike(found.rival) in tags and (alike(found.dominant) in tags or not both)


def _proposal(path: str, found: Contradiction) -> Proposal:
    if not found.rival:
        title = f"{found.attribute}: {found.dominant} is missing"
    elif found.total:
        title = f"{found.attribute}: {found.rival} where the others have {found.dominant}"
    else:
        title = f"{found.attribute}: {found.rival} beside {found.dominant}"
    return Proposal(
        KIND,
        f"{found.attribute}:{found.rival}:{found.dominant}",
        title,
        (contradiction_figures(found.data),),
        (path,),
        _answers(path, found),
        f"{found.attribute}: {found.rival or 'none'} or {found.dominant}",
        path,
        found.share or 0.5,
        "both are right",
    )


def _answers(path: str, found: Contradiction) -> tuple[Answer, ...]:
    """The fix that the figures speak for first, then the others that make sense."""
    remove = Answer(f"take {found.rival} out", (_deed(path, {"remove": [found.rival]}),))
    if not found.rival:
        return (Answer(f"add {found.dominant}", (_deed(path, {"add": [found.dominant]}),)),)
    if found.total:
        replace = Answer(f"write {found.dominant} instead", (_deed(path, {"replace": [found.rival, found.dominant]}),))
        return (remove, replace) if found.fix == "drop" else (replace, remove)
    return remove, Answer(f"take {found.dominant} out", (_deed(path, {"remove": [found.dominant]}),))


def _deed(path: str, choice: dict[str, list[str]]) -> Deed:
    return Deed((path,), choice)
