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


@dataclass(frozen=True, slots=True)
class Scores:
    """`by_tag` is a tag → its probability by content, the highest that any tagger gave; `thresholds` that from which it holds;
    `names` how it is written, `categories` what it is."""

    by_tag: Mapping[str, Mapping[str, float]]
    thresholds: Mapping[str, float]
    names: Mapping[str, str]
    categories: Mapping[str, str]

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
    run = manifest.last_run("curate")
    options = run.options if run is not None else {}
    given = {name: float(options[name]) for name in ("general", "character") if options.get(name) is not None}
    for key, tagger in manifest.taggers().items():
        limits = limits_of(tagger, given, dict(options.get("thresholds") or {}))
        for content, found in manifest.scores(key).items():
            for tag, score in found.items():
                name = alike(tag)
                held = by_tag.setdefault(name, {})
                if score > held.get(content, -1.0):
                    held[content] = score
                names.setdefault(name, tag)
        for name in list(names):
            category = tagger.categories.get(names[name], "general")
            categories.setdefault(name, category)
            if category not in UNJUDGED:
                thresholds.setdefault(name, limits.of(names[name], category))
    return Scores(by_tag, thresholds, names, categories)
