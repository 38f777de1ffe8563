"""Hold sampled images against what was asked of them: the share of wanted tags a tagger finds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from pipeline.core.decoding.image_io import load_rgb


@dataclass(frozen=True, slots=True)
class RecallPrompt:
    """A prompt and the tags its images should show."""

    trigger: str
    prompt: str
    wanted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecallResult:
    """One seed of one question: both images, and the wanted tags that were found in each."""

    question: RecallPrompt
    seed: int
    base: Path
    adapter: Path
    tags_base: frozenset[str]
    tags_adapter: frozenset[str]

    @property
    def found_base(self) -> float:
        """Share of the wanted tags found in the base model's image, 0..1."""
        return len(self.tags_base) / len(self.question.wanted)

    @property
    def found_adapter(self) -> float:
        return len(self.tags_adapter) / len(self.question.wanted)


def shown(
    root: Path, listing: Path, questions: Sequence[RecallPrompt], tagger: str, threshold: float, device: str = "auto"
) -> tuple[RecallResult, ...]:
    """Score the images of a sample listing (made by `prep sample`) whose prompts are among the questions."""
    from taggers.engine import load_tagger

    asked = {question.prompt: question for question in questions}
    rows = [row for row in json.loads(listing.read_text(encoding="utf-8")) if row["prompt"] in asked]
    files = [root / row[which] for row in rows for which in ("base", "adapter")]
    model = load_tagger(tagger, device)
    scores = [
        scored.scores
        for batch in model.score(((str(file), file) for file in files), load_rgb, batch_size=16)
        for scored in batch
    ]
    found = []
    for index, row in enumerate(rows):
        question = asked[row["prompt"]]
        base, adapter = (tags_found(scores[2 * index + which], question.wanted, threshold) for which in (0, 1))
        found.append(RecallResult(question, row["seed"], files[2 * index], files[2 * index + 1], base, adapter))
    return tuple(found)


def tags_found(scores: Mapping[str, float], wanted: Sequence[str], threshold: float) -> frozenset[str]:
    """The wanted tags whose probability reaches the threshold."""
    return frozenset(tag for tag in wanted if scores.get(tag, 0.0) >= threshold)


def averages(rows: Sequence[RecallResult]) -> tuple[float, float]:
    """(base, adapter): the mean share found over all images."""
    return fmean(row.found_base for row in rows), fmean(row.found_adapter for row in rows)
