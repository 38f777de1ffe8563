"""Tag recall: in how many of the samples a tagger finds each trait, without the adapter and with it."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.report.dataset.samples import Learned, Recall, TraitShare


@dataclass(frozen=True, slots=True)
class RecallCard:
    """The traits of a trigger word, and their mean."""

    trigger: str
    traits: tuple[TraitShare, ...]
    recall: Recall


@dataclass(frozen=True, slots=True)
class TagRecallView:
    """`unprompted` says that no prompt names a trait that was measured."""

    unprompted: bool
    cards: tuple[RecallCard, ...]


def tag_recall_view(learned: Learned) -> TagRecallView | None:
    """A card for every trigger word that was measured, None where none was."""
    recalls = {word: learned.recall(word) for word in learned.triggers()}
    cards = tuple(
        RecallCard(word, tuple(trait for trait in learned.traits if trait.trigger == word), found)
        for word, found in recalls.items()
        if found is not None
    )
    prompted = {(sample.trigger, word.strip()) for sample in learned.samples for word in sample.prompt.split(",")}
    unprompted = bool(learned.traits) and not any((each.trigger, each.trait) in prompted for each in learned.traits)
    return TagRecallView(unprompted, cards) if cards else None
