"""Tags that image boards knew of images, kept as scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipeline.sources.beside.booru import booru_tagger
from pipeline.sources.beside.sidecars import Beside, Sidecar, is_sidecar, read_sidecar
from pipeline.sources.source_file import Found
from pipeline.store.manifest import Manifest


def take_tags(manifest: Manifest, found: Sequence[Found]) -> None:
    """Keep the tags that image boards knew of images as scores of 1, under a tagger that goes before all others."""
    beside = Beside(found)
    known = manifest.known_files()
    tags: dict[str, dict[str, str]] = {}
    for each in found:
        if each.problem or not is_sidecar(each, beside):
            continue
        sidecar = _tags_of(each)
        for image in beside.owners(each) if sidecar and sidecar.tags else ():
            if image in known and sidecar is not None:
                tags.setdefault(known[image][2], {}).update(sidecar.tags)
    if not tags:
        return
    taggers = manifest.taggers()
    tagger = booru_tagger({tag: category for each in tags.values() for tag, category in each.items()})
    there, scores = taggers.get(tagger.id), manifest.scores(tagger.id)
    new = {
        content: dict.fromkeys(names, 1.0)
        for content, names in tags.items()
        if scores.get(content) != dict.fromkeys(names, 1.0)
    }
    categories = {**(there.categories if there else {}), **tagger.categories}
    with manifest.transaction():
        if there is None or dict(there.categories) != categories:
            for each_tagger in (
                replace(tagger, categories=categories),
                *(t for t in taggers.values() if t.id != tagger.id),
            ):
                manifest.put_tagger(each_tagger)
        manifest.put_scores(tagger.id, new)


def _tags_of(found: Found) -> Sidecar | None:
    try:
        return read_sidecar(found)
    except ValueError:
        return None
