"""The trigger words of a concept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations

from pipeline.tags.names import split_caption, sub_words


def trigger_words(concept: str, given: Mapping[str, str], from_folder: bool) -> tuple[str, ...]:
    """The trigger words of a concept path, each once, in folder order.

    The last folder is split at `+`: `characters/fanart/Anisphia+Euphyllia` speaks of both. `given` maps a concept path,
    or any such name, to its words, separated by commas; "" gives it none.
    """
    if concept in given:
        return tuple(dict.fromkeys(split_caption(given[concept])))
    found: list[str] = []
    for name in names_in(concept):
        found += split_caption(given[name]) if name in given else [name.replace(",", " ")] if from_folder else []
    return tuple(dict.fromkeys(found))


def names_in(concept: str) -> tuple[str, ...]:
    """Who or what a folder's name speaks of: its last part, split at `+`."""
    return tuple(part.strip() for part in concept.rpartition("/")[2].split("+") if part.strip())


def sharing_words(triggers: Iterable[str]) -> tuple[tuple[str, str, str], ...]:
    """(trigger, other trigger, the sub-word they share): what they share blends the two in training."""
    pairs = combinations(sorted(set(triggers)), 2)
    return tuple((one, other, shared) for one, other in pairs for shared in sorted(sub_words(one) & sub_words(other)))
