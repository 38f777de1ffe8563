"""Which images the loss is measured on: some that are never trained on, and a fixed part of those that are. No torch
here.

Images are chosen by a hash of their own keys and the seed, never by their place: the order in which they come does not
matter, and an image that is added moves few others. Near-duplicates are held out together or not at all, as a loss on
one of them tells nothing when the other is trained on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import floor

from pipeline.core.errors import PrepError
from pipeline.core.seeded import key_seed
from pipeline.images.duplicate_groups import near_groups
from pipeline.store.manifest import Manifest
from train.evaluation.options import ValidationOptions

ENOUGH = 200
"""Images from which `auto` holds some out: of fewer, each is worth more to training than to measuring."""
LEAST_KEPT = 8
"""Images that every concept keeps to train on at least."""
MOST_NAMED = 3
STANDSTILL = (
    "it falls as they are learned by heart, so it tells a standstill from progress, and nothing of overfitting; look at "
    "the samples too"
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An image to be trained on: its key, its concept, the group of images that belong together with it, and its
    repeats; one with 0 repeats is never shown, and neither held out nor validated."""

    key: str
    concept: str
    group: int
    repeats: float


@dataclass(frozen=True, slots=True)
class Splits:
    """`held_out` are keys never trained on; `train_subset` keys that are trained on and validated on the same grid; both in order
    of key. `repeats` has every key that is trained on, and its concept keeps the exposures that it had in all.
    `info` say what was chosen and why."""

    held_out: tuple[str, ...]
    train_subset: tuple[str, ...]
    repeats: Mapping[str, float]
    info: tuple[str, ...]


def hold_out(candidates: Sequence[Candidate], options: ValidationOptions, seed: int) -> Splits:
    """Split a set for training and validation, by the validation options and the seed.

    Raises:
        PrepError: images are to be held out, but no concept can spare one.
    """
    repeats = {each.key: each.repeats for each in candidates}
    if options.validation == "none":
        return Splits((), (), repeats, ())
    shown = [each for each in candidates if each.repeats > 0]
    wants = options.validation == "held-out" or (options.validation == "auto" and len(shown) >= ENOUGH)
    ranks = {each.key: key_seed("hold out", seed, each.key) for each in shown}
    held = _held(shown, ranks, options, seed) if wants else set[str]()
    if options.validation == "held-out" and not held:
        raise _nothing_to_spare(shown, options)
    trained = [each for each in shown if each.key not in held]
    train_subset = _watched(trained, ranks, options.validation_images, seed)
    repeats |= _shares_kept(shown, held)
    return Splits(
        tuple(sorted(held)),
        tuple(sorted(train_subset)),
        {key: value for key, value in repeats.items() if key not in held},
        tuple(_info(shown, held, train_subset, options)),
    )


def split_examples(
    manifest: Manifest,
    concepts: Mapping[str, str],
    multipliers: Mapping[str, float],
    options: ValidationOptions,
    seed: int,
) -> Splits:
    """Which images are trained on and which the loss is measured on, by path."""
    paths: Sequence[str] = tuple(concepts)
    groups = near_groups(manifest, paths) if options.validation != "none" else dict.fromkeys(paths, 0)
    return hold_out([Candidate(path, concepts[path], groups[path], multipliers[path]) for path in paths], options, seed)


def spare(images: int, share: float) -> int:
    """How many of a concept's images may be held out: its share, rounded, if it keeps LEAST_KEPT."""
    return max(0, min(floor(images * share + 0.5), images - LEAST_KEPT))


def _held(shown: Sequence[Candidate], ranks: Mapping[str, int], options: ValidationOptions, seed: int) -> set[str]:
    """Whole groups, every concept in turn, until no concept may lose more or enough images are held out.

    Args:
        ranks: image → where it stands among all, by its key and the seed alone.
    """
    groups: dict[int, list[Candidate]] = defaultdict(list)
    for each in shown:
        groups[each.group].append(each)
    free = {concept: spare(count, options.validation_share) for concept, count in _images(shown).items()}
    first = {number: min([ranks[each.key] for each in members]) for number, members in groups.items()}
    waiting: dict[str, list[int]] = {concept: [] for concept in _turns(free, seed)}
    for number in sorted(groups, key=first.__getitem__, reverse=True):
        for concept in dict.fromkeys([each.concept for each in groups[number]]):
            waiting[concept].append(number)
    held: set[str] = set()
    taken: set[int] = set()
    while any(waiting.values()):
        for groups_left in waiting.values():
            while groups_left:
                number = groups_left.pop()
                lost = Counter(each.concept for each in groups[number])
                fits = all(free[concept] >= count for concept, count in lost.items())
                if number not in taken and fits and len(held) + lost.total() <= options.validation_images:
                    taken.add(number)
                    held |= {each.key for each in groups[number]}
                    free = {concept: left - lost[concept] for concept, left in free.items()}
                    break
    return held


def _watched(trained: Sequence[Candidate], ranks: Mapping[str, int], most: int, seed: int) -> set[str]:
    """Images, every concept in turn, those of groups not seen yet first."""
    waiting: dict[str, list[Candidate]] = {concept: [] for concept in _turns(_images(trained), seed)}
    before: dict[int, int] = {}
    earlier = {}
    for each in sorted(trained, key=lambda each: ranks[each.key]):
        earlier[each.key] = before.get(each.group, 0)
        before[each.group] = earlier[each.key] + 1
        waiting[each.concept].append(each)
    for members in waiting.values():  # by those of its group before it, then by rank: the sort keeps the order
        members.sort(key=lambda each: earlier[each.key])
        members.reverse()
    train_subset: set[str] = set()
    while any(waiting.values()):
        for members in waiting.values():
            if members and len(train_subset) < most:
                train_subset.add(members.pop().key)
        if len(train_subset) == most:
            break
    return train_subset


def _shares_kept(shown: Sequence[Candidate], held: Collection[str]) -> dict[str, float]:
    """Repeats with which every concept is shown as often as before, by fewer images."""
    whole, left = defaultdict[str, float](float), defaultdict[str, float](float)
    for each in sorted(shown, key=lambda each: each.key):
        whole[each.concept] += each.repeats
        left[each.concept] += each.repeats if each.key not in held else 0.0
    losing = {each.concept for each in shown if each.key in held}
    return {
        each.key: each.repeats * whole[each.concept] / left[each.concept]
        for each in shown
        if each.concept in losing and each.key not in held
    }


def _turns(concepts: Collection[str], seed: int) -> list[str]:
    """The concepts in the order of their turns, which their names do not favour."""
    return sorted(concepts, key=lambda concept: key_seed("turn", seed, concept))


def _images(candidates: Sequence[Candidate]) -> Counter[str]:
    return Counter(each.concept for each in candidates)


# --- words


def _nothing_to_spare(shown: Sequence[Candidate], options: ValidationOptions) -> PrepError:
    counts = _images(shown)
    concept, most = max(counts.items(), key=lambda item: (item[1], item[0])) if counts else ("", 0)
    return PrepError(
        f"train: validation is 'held-out', but no concept can spare an image: the largest, {concept}, has {most}; one "
        f"must keep {LEAST_KEPT} and lose no more than {options.validation_share:.0%} of them, near-duplicates "
        "together",
        'use validation = "training", which looks at images that are trained on, or a larger validation_share',
    )


def _info(
    shown: Sequence[Candidate], held: Collection[str], train_subset: Collection[str], options: ValidationOptions
) -> Iterator[str]:
    concepts = {each.key: each.concept for each in shown}
    seen = {concepts[key] for key in train_subset}
    if not held:
        yield (
            f"validation: {_why_none(shown, options)}; the loss is measured on {_counted(train_subset, concepts)} that are "
            f"trained on: {STANDSTILL}"
        )
    else:
        yield (
            f"validation: {_counted(held, concepts)} are held out and never trained on, beside "
            f"{_counted(train_subset, concepts)} of those that are"
        )
        yield from _without_held(shown, {concepts[key] for key in held}, options)
    if unseen := sorted(set(concepts.values()) - seen):
        yield (
            f"validation: {len(unseen)} of {len(unseen) + len(seen)} concepts are not validated, such as {unseen[0]}, as "
            f"validation_images is {options.validation_images}"
        )


def _why_none(shown: Sequence[Candidate], options: ValidationOptions) -> str:
    if options.validation == "training":
        return "no image is held out"
    if len(shown) < ENOUGH:
        return f"{len(shown)} images are too few to hold any out, which is done from {ENOUGH} on"
    return f"no concept can spare an image: each must keep {LEAST_KEPT} and lose {options.validation_share:.0%} at most"


def _without_held(shown: Sequence[Candidate], holding: Collection[str], options: ValidationOptions) -> Iterator[str]:
    """Concepts none of whose images are held out: those that may not lose one, and those that could have."""
    counts = _images(shown)
    unable = sorted(concept for concept in counts if not spare(counts[concept], options.validation_share))
    if unable:
        yield (
            f"validation: none is held out of {_named(unable, counts)}: a concept must keep {LEAST_KEPT} images and lose "
            f"{options.validation_share:.0%} of them at most, rounded; their loss is measured on what is trained on"
        )
    left = sorted(set(counts) - set(holding) - set(unable))
    if left:
        yield (
            f"validation: none is held out of {_named(left, counts)}: their images belong together in groups too large to "
            f"spare, or the {options.validation_images} validation_images were used up"
        )


def _named(concepts: Sequence[str], counts: Mapping[str, int]) -> str:
    named = ", ".join(f"{concept} ({counts[concept]})" for concept in concepts[:MOST_NAMED])
    return f"{named} and {len(concepts) - MOST_NAMED} more" if len(concepts) > MOST_NAMED else named


def _counted(keys: Collection[str], concepts: Mapping[str, str]) -> str:
    count = len({concepts[key] for key in keys})
    return f"{len(keys)} image{'s' * (len(keys) != 1)} of {count} concept{'s' * (count != 1)}"
