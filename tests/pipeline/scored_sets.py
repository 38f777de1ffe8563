"""Sets whose images have scores, for the tests of captions: made row by row, curated, and read back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from painted_sets import quiet

from pipeline.config.parts import composed
from pipeline.stages import curate
from pipeline.store.manifest import Manifest
from pipeline.store.records import Tagger
from pipeline.store.running.apply import Outcome
from pipeline.store.running.runner import run_stage
from pipeline.store.wording import phrase

TAGGER = Tagger(
    "miniature",
    "1",
    "p",
    "CPUExecutionProvider",
    {
        "general": "rating",
        "sensitive": "rating",
        "mira (miniature)": "character",
        "1girl": "general",
        "white hair": "general",
    },
)


SOLO = {"1girl": 0.99, "solo": 0.98}


Build = Callable[..., Manifest]


def run(manifest: Manifest, **options: object) -> Outcome:
    return run_stage(manifest, curate.STAGE, composed(curate.Options, options), quiet)


def caption(manifest: Manifest, path: str) -> str:
    """What stands beside an image, which is also what the record says."""
    file = manifest.root / "images" / f"{path}.txt"
    text = file.read_text(encoding="utf-8")
    assert text.endswith("\n") and manifest.decisions("caption")[f"images/{path}.png"].value == text[:-1]
    return text[:-1]


def rows(manifest: Manifest, path: str) -> dict[str, tuple[str, str]]:
    return {row.tag: (row.action, phrase(row)) for row in manifest.decisions("tags")[f"images/{path}.png"].value}


def text_of(manifest: Manifest, path: str) -> Path:
    return manifest.root / "images" / f"{path}.txt"
