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
    """Images of the validation loss, measured with fixed noise and timesteps: held out of training, a fixed subset of the
    training images, or none. auto holds images out of sets of 200 or more."""
    validation_share: float = option(0.05, above(0, at_most=0.5), needs("validation", "auto", "held-out"))
    """Share of every concept's images that is held out; near-duplicates stay in one split."""
    validation_images: int = option(16, at_least(1), needs("validation", *MEASURING), BESIDE)
    """Most images per split (held out, train subset), taken from every concept in turn."""
    validation_times: int = option(4, between(1, 1000), needs("validation", *MEASURING), BESIDE)
    """Evenly spaced timesteps per image."""
    validation_noise_samples: int = option(1, at_least(1), needs("validation", *MEASURING), BESIDE)
    """Noise samples per image and timestep."""
    validation_every: int = option(0, at_least(0), needs("validation", *MEASURING), BESIDE)
    """Batches between two validations; 0 validates where a snapshot is saved, and at start and end."""
    patience: int = option(0, at_least(0), BESIDE)
    """Stop after so many validations without a lower loss; 0 never stops."""

    def problems(self) -> Iterator[Problem]:
        if self.patience and self.validation == "none":
            yield (
                f"patience is {self.patience}, but validation is 'none': no loss is measured that could stop falling",
                'leave patience out, or use validation = "auto"',
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleOptions:
    sample_prompts: tuple[str, ...] = option((), BESIDE)
    """Prompts of sample images generated during training, in kohya's syntax: text, then --n negative, --w width, --h height,
    --d seed, --s steps, --l guidance scale. Defaults: no negative prompt, the most common bucket size, a seed made from
    the prompt, 30 steps, guidance scale 7.5."""
    sample_file: Path | None = option(None, BESIDE)
    """A text file of such prompts, one a line; # begins a comment. Or a TOML or JSON file as kohya's trainer reads it."""
    sample_every_epochs: int = option(0, at_least(0), NO_PROMPTS, BESIDE)
    """Epochs between two sets of sample images; if sample_every_steps is 0 too, they are generated
    where snapshots are saved, and at start and end."""
    sample_every_steps: int = option(0, at_least(0), NO_PROMPTS, BESIDE)
    """Batches between two sets of sample images."""

    @property
    def any(self) -> bool:
        """Whether there are prompts."""
        return bool(self.sample_prompts or self.sample_file)
