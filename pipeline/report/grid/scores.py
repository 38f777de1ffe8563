"""What is seen in the images of a grid: tags, by a tagger, and PDQ hash, saturation and contrast; each image once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.decoding.image_io import load_rgb
from pipeline.core.files import write_text
from pipeline.images.measurement import perceptual_hash

if TYPE_CHECKING:
    from PIL.Image import Image

FILE = "scores.json"
LEAST = 0.05
"""Probabilities below are not kept."""
TOGETHER = 32
MEANT = ("general", "character")
"""Categories of tags that a prompt asks for."""


@dataclass(frozen=True, slots=True)
class Seen:
    """`tags` with their probabilities; `phash` PDQ as 64 hex digits; `saturation` the mean of HSV's, 0 to 1; `contrast` the
    standard deviation of the grey, 0 to 1."""

    tags: Mapping[str, float]
    phash: str
    saturation: float
    contrast: float


@dataclass(frozen=True, slots=True)
class Scores:
    """What a tagger sees: every image by its name in grid.json, the tags it knows, and the probability from which one holds."""

    tagger: str
    images: Mapping[str, Seen]
    vocabulary: frozenset[str]
    threshold: float


def seen_in(
    folder: Path, images: Sequence[str], tagger: str, device: str, progress: Callable[[str, int, int], None]
) -> Scores:
    """What is seen in the images that are there; only new ones are looked at.

    Raises:
        TaggerError: there is no such tagger, or it cannot be had.
    """
    known = _read(folder / FILE, tagger)
    there = [image for image in dict.fromkeys(images) if (folder / image).is_file()]
    if known is None or any(image not in known.images for image in there):
        known = _scored(folder, there, tagger, device, known, progress)
        document = {
            "tagger": known.tagger,
            "asked": _hash(tagger),
            "threshold": known.threshold,
            "vocabulary": sorted(known.vocabulary),
            "images": {image: asdict(known.images[image]) for image in sorted(known.images)},
        }
        write_text(folder / FILE, json.dumps(document, ensure_ascii=False) + "\n")
    return replace(known, images={image: known.images[image] for image in there})


def _scored(
    folder: Path,
    there: Sequence[str],
    tagger: str,
    device: str,
    known: Scores | None,
    progress: Callable[[str, int, int], None],
) -> Scores:
    from taggers.engine import load_tagger

    model = load_tagger(tagger, device)
    found = dict(known.images) if known else {}
    missing = [image for image in there if image not in found]
    for start in range(0, len(missing), TOGETHER):
        opened = {image: load_rgb(folder / image) for image in missing[start : start + TOGETHER]}
        for batch in model.score(opened.items(), lambda image: image):
            for scored in batch:
                tags = {tag: round(float(score), 4) for tag, score in scored.scores.items() if score >= LEAST}
                found[scored.key] = Seen(tags, *_looks(opened[scored.key]))
        progress("looking at images", min(start + TOGETHER, len(missing)), len(missing))
    names = frozenset(name for name, category in model.categories.items() if category in MEANT)
    return Scores(model.spec.name, found, names, model.spec.thresholds.get("general", 0.35))


def _looks(image: Image) -> tuple[str, float, float]:
    """PDQ hash, saturation and contrast."""
    import numpy as np

    grey, saturation = np.asarray(image.convert("L")), np.asarray(image.convert("HSV"))[..., 1]
    return perceptual_hash(grey)[0], round(float(saturation.mean()) / 255, 4), round(float(grey.std()) / 255, 4)


def _hash(tagger: str) -> str:
    """Tells taggers apart without saying where one lies."""
    return hashlib.sha256(tagger.encode()).hexdigest()[:16]


def _read(file: Path, tagger: str) -> Scores | None:
    """What an earlier look found with the same tagger; None where there is none that can be read."""
    names = {field.name for field in fields(Seen)}
    try:
        found: Any = json.loads(file.read_text(encoding="utf-8"))
        if found["asked"] != _hash(tagger):
            return None
        images = {image: Seen(**row) for image, row in found["images"].items() if set(row) == names}
        return Scores(str(found["tagger"]), images, frozenset(found["vocabulary"]), float(found["threshold"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
