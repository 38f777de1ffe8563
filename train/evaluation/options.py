"""Options of evaluation: on which images and grid the loss is measured, and which sample images are generated. No torch
here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.config.rules import BESIDE, Problem, above, at_least, between, idle_unless, needs, option

MEASURING = ("auto", "held-out", "training")
NO_PROMPTS = idle_unless(
    "sample_prompts", "sample_file", why="there are no prompts to generate", hint="give sample_prompts or sample_file"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationOptions:
    validation: Literal["auto", "held-out", "training", "none"] = "auto"
    """What the loss is measured on at fixed noise and timesteps: images held out of training, a fixed part of those
    trained on, or nothing. auto holds images out of sets of 200 or more."""
    validation_share: float = option(0.05, above(0, at_most=0.5), needs("validation", "auto", "held-out"))
    """Share of every concept's images that is held out; near-duplicates stay on one side."""
    validation_images: int = option(16, at_least(1), needs("validation", *MEASURING), BESIDE)
    """Most images that are measured on either side, every concept in turn."""
    validation_times: int = option(4, between(1, 1000), needs("validation", *MEASURING), BESIDE)
    """Timesteps, evenly spread, at which each of them is measured."""
    validation_noises: int = option(1, at_least(1), needs("validation", *MEASURING), BESIDE)
    """Noise samples with which each of them is measured."""
    validation_every: int = option(0, at_least(0), needs("validation", *MEASURING), BESIDE)
    """Batches between two validations; 0 validates where a snapshot is saved, and at start and end."""
    patience: int = option(0, at_least(0), BESIDE)
    """Stop after so many validations without a better one; 0 never does."""

    def problems(self) -> Iterator[Problem]:
        if self.patience and self.validation == "none":
            yield (
                f"patience is {self.patience}, but validation is 'none': no loss is measured that could stop falling",
                'leave patience out, or use validation = "auto"',
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleOptions:
    sample_prompts: tuple[str, ...] = option((), BESIDE)
    """Prompts of sample images made while training, in kohya's syntax: text, then --n negative, --w width, --h height,
    --d seed, --s steps, --l guidance. What is left out is no negative, the commonest bucket's size, a seed of the prompt's
    own, 30 steps, guidance 7.5."""
    sample_file: Path | None = option(None, BESIDE)
    """A text file of such prompts, one a line; # begins a comment. Or a TOML or JSON file as kohya's trainer reads it."""
    sample_every_epochs: int = option(0, at_least(0), NO_PROMPTS, BESIDE)
    """Epochs between two sets of sample images; with sample_every_steps 0 too, they are made where snapshots are saved,
    and at start and end."""
    sample_every_steps: int = option(0, at_least(0), NO_PROMPTS, BESIDE)
    """Batches between two sets of sample images."""

    @property
    def any(self) -> bool:
        """Whether there are prompts."""
        return bool(self.sample_prompts or self.sample_file)
