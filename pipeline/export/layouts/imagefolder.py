"""A Hugging Face image folder: images in `train`, and a metadata.jsonl that tells everything about each.

`load_dataset("imagefolder", data_dir=FOLDER)` makes one split of it. Names such as `test` or `dev` in the path of a
folder would make others, so folders of concepts called so get another name; the metadata has the true one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from pipeline.core.filenames import flat
from pipeline.export.contents import Contents, Sample
from pipeline.export.naming import Names
from pipeline.export.request import Layout, Request, Text, Wanted

TRAIN = "train"
METADATA = f"{TRAIN}/metadata.jsonl"
_SPLIT = re.compile(
    r"(?:^|[-._ 0-9])(train|training|test|testing|eval|evaluation|validation|valid|val|dev)(?=[-._ 0-9]|$)",
    re.IGNORECASE,
)
"""Words that make a split of the Hugging Face hub, between the signs that part words there."""


def lay_out(contents: Contents, request: Request) -> Layout:
    """The files of an image folder."""
    names = Names()
    samples = sorted(contents.samples, key=lambda sample: (sample.image.concept, sample.image.path))
    concepts = dict.fromkeys(sample.image.concept for sample in samples)
    folders = {concept: names.folder(f"{TRAIN}/{_folder(concept)}") for concept in concepts}
    files: list[Wanted] = []
    rows = []
    for sample in samples:
        path = names.file(folders[sample.image.concept], sample.stem, sample.extension_in(request))
        image = sample.exported(path, request)
        files.append(image)
        rows.append({"file_name": image.path.removeprefix(f"{TRAIN}/"), "text": sample.caption, **facts(sample)})
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    files.append(Text(METADATA, lines.encode()))
    ordered = tuple(sorted(files, key=lambda file: file.path))
    return Layout(ordered, (*names.warnings(), *left_out(contents.samples)), concept_table(samples))


def facts(sample: Sample) -> dict[str, Any]:
    """What is recorded of an image beside its caption; `width` and `height` are those it is trained at."""
    width, height = sample.bucket.size if sample.bucket else (None, None)
    return {
        "concept": sample.image.concept,
        "repeats": sample.exact,
        "repeat": sample.repeat,
        "width": width,
        "height": height,
    }


def concept_table(samples: Iterable[Sample]) -> tuple[dict[str, Any], ...]:
    """One row per concept, in order."""
    found: dict[str, list[float]] = {}
    for sample in samples:
        found.setdefault(sample.image.concept, []).append(sample.exact)
    return tuple(
        {"concept": concept, "images": len(exact), "repeats": " to ".join(f"{one:g}" for one in _ends(exact))}
        for concept, exact in sorted(found.items())
    )


def left_out(samples: Iterable[Sample]) -> tuple[str, ...]:
    """A sentence on regularization images, which layouts without trainers of their own do not hold."""
    return (
        ("regularization images are written by the kohya layout alone",)
        if any(one.reg_images for one in samples)
        else ()
    )


def _ends(numbers: list[float]) -> list[float]:
    return sorted({min(numbers), max(numbers)})


def _folder(concept: str) -> str:
    name = flat(concept)
    return f"concept-{_letters(name)}" if _SPLIT.search(name) else name


def _letters(name: str) -> str:
    """A short digest of a name, of letters alone."""
    return "".join(chr(ord("a") + byte % 26) for byte in sha256(name.encode()).digest()[:8])
