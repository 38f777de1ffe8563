"""The trigger words of a concept, and what may go wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import combinations

from pipeline.store.records import Image
from pipeline.tags.vocabulary.aliases import folded, split_caption, sub_words, unique

MANY = 50
"""Trigger words that share one part beyond which pairs are no longer listed one by one."""


def subjects(concept: str, given: Mapping[str, str], from_folder: bool) -> tuple[tuple[str, ...], ...]:
    """The trigger words of everyone that a concept path speaks of, in folder order; those without any are left out.

    The last folder is split at `+`: `characters/fanart/Anisphia+Euphyllia` speaks of both. `given` maps a concept path,
    or any such name, to its words, separated by commas; "" gives it none.
    """
    if concept in given:
        found = [split_caption(given[concept])]
    else:
        found = [
            split_caption(given[name]) if name in given else (_word(name),) if from_folder else ()
            for name in names_in(concept)
        ]
    return tuple(unique(words) for words in found if words)


def one_spelling(words: Iterable[str]) -> dict[str, str]:
    """Trigger word → the spelling that stands for all that differ from it in case only: the most frequent, then the one with
    most capitals, as names have. Text encoders lower all letters, so `Lucy` and `lucy` are one word to them.

    Args:
        words: the trigger words of all images, one for each image they are of.
    """
    counts = Counter(words)
    groups: dict[str, list[str]] = {}
    for word in counts:
        groups.setdefault(word.casefold(), []).append(word)
    found: dict[str, str] = {}
    for held in groups.values():
        best = min(held, key=lambda word: (-counts[word], -sum(map(str.isupper, word)), word))
        found |= {word: best for word in held if word != best}
    return found


def words_of(images: Iterable[Image], given: Mapping[str, str], from_folder: bool) -> Iterator[str]:
    """The trigger words of all images, one for each image they are of."""
    return (word for image in images for words in subjects(image.concept, given, from_folder) for word in words)


def spelled(found: Iterable[Iterable[str]], spelling: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
    """The trigger words of everyone in the one spelling of each; who is named twice by it is one."""
    names = [tuple(dict.fromkeys(spelling.get(word, word) for word in words)) for words in found]
    return tuple(dict.fromkeys(names))


def _word(name: str) -> str:
    """A folder's name as a word; a comma would make two tags of it."""
    return " ".join(name.replace(",", " ").split())


def names_in(concept: str) -> tuple[str, ...]:
    """Who or what a folder's name speaks of: its last part, split at `+`."""
    return tuple(part.strip() for part in concept.rpartition("/")[2].split("+") if part.strip())


def sharing_words(
    triggers: Iterable[str], parts: Callable[[str], Iterable[str]] = sub_words
) -> tuple[tuple[str, str, str], ...]:
    """(trigger, other trigger, the part they share): what they share blends the two in training.

    "Oyama Mahiro" and "Oyama Mihari" blended for sharing Oyama (alea31415's LyCORIS experiments, Hugging Face).

    Args:
        parts: a trigger word's parts: its words, or its tokens where the base model's tokenizer is known.
    """
    holders: dict[str, list[str]] = {}
    for trigger in sorted(set(triggers)):
        for part in set(parts(trigger)):
            holders.setdefault(part, []).append(trigger)
    pairs = [(one, other, part) for part, held in holders.items() for one, other in combinations(held[:MANY], 2)]
    return tuple(sorted(pairs))


def taken_words(triggers: Iterable[str], tags: Iterable[str]) -> dict[str, str]:
    """Trigger word → the tag that it is, or that it is a word of: it has a meaning to the base model already.

    Of several such tags the shortest is reported; `Snow` is a word of `snow`, of `snowing` it is none.
    """
    known: dict[str, str] = {}
    for tag in sorted(tags, key=lambda tag: (len(tag), tag)):
        for word in (folded(tag), *(folded(part.strip("()")) for part in tag.split())):
            known.setdefault(word, tag)
    return {trigger: known[folded(trigger)] for trigger in sorted(set(triggers)) if folded(trigger) in known}


def leading(text: str, triggers: tuple[str, ...]) -> int:
    """How many of the first tags of a caption are trigger words, whatever their order."""
    lowered = {trigger.casefold() for trigger in triggers}
    tags = split_caption(text)
    return next((place for place, tag in enumerate(tags) if tag.casefold() not in lowered), len(tags))
