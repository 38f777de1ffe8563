"""General tags beside exact ones that say them already, in captions that curation did not write."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.review.proposals.proposal import Answer, Deed, Proposal
from pipeline.store.caption_files import captions
from pipeline.store.manifest import Manifest
from pipeline.tags.captions.triggers import names_in
from pipeline.tags.editor.implied import known_implications
from pipeline.tags.vocabulary.aliases import canonical, split_caption
from pipeline.tags.vocabulary.person_count import people
from pipeline.tags.vocabulary.prose import is_prose

KIND = "implied"
NAMED = 3


def find(manifest: Manifest) -> Iterator[Proposal]:
    """One for every pair of tags, with all images whose captions hold both, those of most images first."""
    known = known_implications(manifest, None)
    trigger_words = manifest.trigger_words()
    texts = captions(manifest)
    where: dict[tuple[str, str], list[str]] = {}
    for image in manifest.kept():
        text = texts.get(image.path, "")
        if is_prose(text):
            continue
        written = {canonical(tag): tag for tag in split_caption(text)}
        own = {canonical(word) for word in trigger_words.get(image.path, ())}
        tags = {tag: 1.0 for tag in written if tag not in own}
        named = len(names_in(image.concept))
        several = max(people(tags) or 0, named if named > 1 else 0) > 1
        for parent, child in known.needless(tags, not several).items():
            where.setdefault((written[parent], written[child]), []).append(image.path)
    for (parent, child), paths in sorted(where.items(), key=lambda item: (-len(item[1]), item[0])):
        yield _proposal(parent, child, tuple(paths), known.above(canonical(child)).get(canonical(parent), ()))


def _proposal(parent: str, child: str, paths: tuple[str, ...], steps: tuple[tuple[str, object], ...]) -> Proposal:
    way = " → ".join([child, *(tag for tag, _ in steps)]) if steps else f"{child} → {parent}"
    remove = Answer(f"take {parent} out", (Deed(paths, {"remove": [parent]}),))
    other = Answer(f"take {child} out", (Deed(paths, {"remove": [child]}),))
    return Proposal(
        KIND,
        f"{child}:{parent}",
        f"{parent} is said by {child}",
        (way, f"both stand in {len(paths)} caption{'s' if len(paths) != 1 else ''}"),
        paths,
        (remove, other),
        "general tags beside exact ones",
        reject="keep both",
    )
