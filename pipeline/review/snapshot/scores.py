"""What taggers said of the images, by tag: read when it is first asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.store.manifest import Manifest
from pipeline.store.records import Image
from pipeline.tags.captions.thresholds import UNJUDGED, limits_of
from pipeline.tags.editor.spelling import alike
from taggers import registry


@dataclass(frozen=True, slots=True)
class Scores:
    """`by_tag` is a tag → its probability by content, the highest that any tagger gave; `thresholds` that from which it holds;
    `names` how it is written, `categories` what it is."""

    by_tag: Mapping[str, Mapping[str, float]]
    thresholds: Mapping[str, float]
    names: Mapping[str, str]
    categories: Mapping[str, str]
    usual: float
    """The threshold of tags that have none of their own, as the newest tagger publishes it."""
    margins: Mapping[str, Mapping[str, float]]
    """A tag → by content, how far the surest tagger is above its own threshold; empty where there is one tagger."""

    def threshold(self, tag: str) -> float:
        return self.thresholds.get(alike(tag), self.usual)

    def doubt(self, tag: str, images: Sequence[Image]) -> NDArray[np.float64]:
        """How far each image's probability is from the threshold, each tagger's from its own; NaN where there is none."""
        held = self.margins.get(alike(tag))
        if held is None:
            return np.abs(self.of(tag, images) - self.threshold(tag))
        return np.abs(np.array([held.get(image.content, np.nan) for image in images], np.float64))

    def of(self, tag: str, images: Sequence[Image]) -> NDArray[np.float64]:
        """A tag's probability on each image; NaN where no tagger stored one."""
        held = self.by_tag.get(alike(tag), {})
        return np.array([held.get(image.content, np.nan) for image in images], np.float64)


def read_scores(manifest: Manifest) -> Scores:
    """All scores of the record, with the thresholds that the last curation held tags to."""
    by_tag: dict[str, dict[str, float]] = {}
    names: dict[str, str] = {}
    thresholds: dict[str, float] = {}
    categories: dict[str, str] = {}
    margins: dict[str, dict[str, float]] = {}
    usual = registry.USUAL["general"]
    run = manifest.last_run("curate")
    options = run.options if run is not None else {}
    given = {name: float(options[name]) for name in ("general", "character") if options.get(name) is not None}
    taggers = manifest.taggers()
    for key, tagger in taggers.items():
        limits = limits_of(tagger, given, dict(options.get("thresholds") or {}))
        usual = limits.categories["general"]
        for content, found in manifest.scores(key).items():
            for tag, score in found.items():
                name = alike(tag)
                held = by_tag.setdefault(name, {})
                if score > held.get(content, -1.0):
                    held[content] = score
                names.setdefault(name, tag)
                if len(taggers) > 1:
                    over = score - limits.of(tag, tagger.categories.get(tag, "general"))
                    above = margins.setdefault(name, {})
                    above[content] = max(over, above.get(content, over))
        for name in list(names):
            category = tagger.categories.get(names[name], "general")
            categories.setdefault(name, category)
            if category not in UNJUDGED:
                thresholds.setdefault(name, limits.of(names[name], category))
    return Scores(by_tag, thresholds, names, categories, usual, margins)
