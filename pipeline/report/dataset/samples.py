"""The samples of an adapter: each prompt and seed generated with the base model alone and with the adapter."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from pipeline.core.errors import PrepError
from pipeline.report.dataset.facts import Facts, Trigger

LISTING = "samples.json"


class Recall(NamedTuple):
    """The share (0..1) of wanted traits that a tagger finds, without the adapter and with it."""

    before: float
    after: float


@dataclass(frozen=True, slots=True)
class SamplePair:
    """One prompt and seed generated twice: with the base model alone and with the adapter.

    `found_before` and `found_after` are the share (0..1) of the trigger's traits that a tagger finds in each image,
    None where nobody measured.
    """

    trigger: str
    prompt: str
    seed: int
    base_path: Path
    adapter_path: Path
    found_before: float | None = None
    found_after: float | None = None

    @property
    def recall(self) -> Recall | None:
        if self.found_before is None or self.found_after is None:
            return None
        return Recall(self.found_before, self.found_after)


@dataclass(frozen=True, slots=True)
class TraitShare:
    """In which share (0..1) of a trigger's images one trait is found, without the adapter and with it."""

    trigger: str
    trait: str
    before: float
    after: float

    @property
    def recall(self) -> Recall:
        return Recall(self.before, self.after)


@dataclass(frozen=True, slots=True)
class Learned:
    """Everything there is to show of a trained adapter; `about` says in a sentence how it was trained and measured."""

    samples: tuple[SamplePair, ...] = ()
    traits: tuple[TraitShare, ...] = ()
    about: str = ""

    def triggers(self) -> tuple[str, ...]:
        """Trigger words in the order of their first image or trait."""
        words = [sample.trigger for sample in self.samples] + [trait.trigger for trait in self.traits]
        return tuple(dict.fromkeys(words))

    def recall(self, trigger: str | None = None) -> Recall | None:
        """Means over the traits of a trigger word or of all; over the samples where no trait was measured by itself;
        None if nothing was measured."""
        return mean_recall([each for each in self.traits if trigger in (None, each.trigger)]) or mean_recall(
            [each for each in self.samples if trigger in (None, each.trigger)]
        )


def mean_recall(measured: Sequence[TraitShare] | Sequence[SamplePair]) -> Recall | None:
    """The means of what was measured, None where nothing was."""
    shares = [each.recall for each in measured if each.recall is not None]
    return Recall(fmean(each.before for each in shares), fmean(each.after for each in shares)) if shares else None


def read_samples(root: Path, triggers: tuple[str, ...]) -> Learned:
    """What `prep sample` generated last in a set, from SET/runs/NAME/samples/samples.json.

    Every entry has `prompt`, `seed`, and `base` and `adapter` as paths in the set; `found_before` and `found_after`
    where somebody measured. The trigger is the one of `triggers` that the prompt holds, else the prompt itself.
    Raises:
        PrepError: the listing is there but cannot be understood.
    """
    listings = sorted(root.glob(f"runs/*/samples/{LISTING}"), key=lambda file: (file.stat().st_mtime, file))
    if not listings:
        return Learned()
    try:
        rows = json.loads(listings[-1].read_text(encoding="utf-8"))
        samples = tuple(
            SamplePair(
                _trigger(str(row["prompt"]), triggers),
                str(row["prompt"]),
                int(row["seed"]),
                root / row["base"],
                root / row["adapter"],
                _share(row.get("found_before")),
                _share(row.get("found_after")),
            )
            for row in rows
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PrepError(
            f"{listings[-1]} is not a list of samples: {error!r}", f"generate them again: prep sample {root} --force"
        ) from error
    return Learned(samples, about=f"Generated with the adapter “{listings[-1].parent.parent.name}”.")


def _trigger(prompt: str, triggers: tuple[str, ...]) -> str:
    words = [word.strip() for word in prompt.split(",")]
    return next((word for word in words if word in triggers), prompt)


def _share(value: object) -> float | None:
    return None if value is None else float(value)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class PromptGroup:
    """The pairs of one prompt; the prompt is "" where every pair has one of its own, and shows it itself."""

    prompt: str
    recall: Recall | None
    samples: tuple[SamplePair, ...]


@dataclass(frozen=True, slots=True)
class TriggerCard:
    """The pairs of a trigger word, beside images of the set that carry it."""

    trigger: str
    recall: Recall | None
    images: int
    references: tuple[tuple[str, Path], ...]
    groups: tuple[PromptGroup, ...]


@dataclass(frozen=True, slots=True)
class SamplesView:
    about: str
    cards: tuple[TriggerCard, ...]


def samples_view(facts: Facts, learned: Learned) -> SamplesView | None:
    """A card for every trigger word, None where there are no samples."""
    if not learned.samples:
        return None
    known = {trigger.word: trigger for trigger in facts.triggers}
    words = dict.fromkeys(sample.trigger for sample in learned.samples)
    return SamplesView(learned.about, tuple(_card(word, known.get(word), learned) for word in words))


def _card(word: str, trigger: Trigger | None, learned: Learned) -> TriggerCard:
    samples = tuple(sample for sample in learned.samples if sample.trigger == word)
    prompts = tuple(dict.fromkeys(sample.prompt for sample in samples))
    groups: tuple[PromptGroup, ...]
    if len(prompts) == len(samples):
        groups = (PromptGroup("", None, samples),)
    else:
        groups = tuple(_group(prompt, tuple(each for each in samples if each.prompt == prompt)) for prompt in prompts)
    images, references = (trigger.images, trigger.references) if trigger else (0, ())
    return TriggerCard(word, learned.recall(word), images, references, groups)


def _group(prompt: str, samples: tuple[SamplePair, ...]) -> PromptGroup:
    return PromptGroup(prompt, mean_recall(samples), samples)
