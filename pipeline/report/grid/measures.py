"""What the images of a grid show of what was learned, in figures.

- fidelity: of a trigger word's traits, the share that is found in images whose prompt has the word, absorbed ones included
- obedience: of what a prompt asks for beside trigger words, the share that is found
- leakage: in images whose prompt has no trigger word, the share of the traits of the word that is found most, beyond what the
  base model's image of the same prompt and seed shows, where the grid has it
- variety: how far images of one prompt lie apart over seeds, as the mean distance of their PDQ hashes, 0 to 1 (unlike: .5)
- copying: the least distance from an image to a training image, 0 to 1; below .12 PDQ takes two for the same
- saturation and contrast beside those of the base model's image of the same prompt and seed

A mean comes with its 95 % interval over seeds, by Student's t, where there are two or more.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, stdev

from pipeline.core.caption_text import read_caption_text, split_tags
from pipeline.report.grid.facts import GridFacts
from pipeline.report.grid.scores import Seen
from pipeline.tags.vocabulary.aliases import canonical

T95 = (
    12.71,
    4.30,
    3.18,
    2.78,
    2.57,
    2.45,
    2.36,
    2.31,
    2.26,
    2.23,
    2.20,
    2.18,
    2.16,
    2.14,
    2.13,
    2.12,
    2.11,
    2.10,
    2.09,
    2.09,
)
"""Student's t at .975 for 1, 2 … 20 degrees of freedom; beyond, 1.96 plus 2.5 over them is within .01."""
WITHIN = ("prompt", "negative", "seed", "replace")
"""Axes over which a figure is a mean; the others are what is compared."""
SAME = 31 / 256
"""Distance of PDQ hashes up to which two images are taken for the same (Davis and others 2019)."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """The training image that an image is most like, and the share of bits in which their hashes differ."""

    image: str
    training: str
    distance: float


@dataclass(frozen=True, slots=True)
class Known:
    """What a set says of its trigger words: traits of each, the tagger's vocabulary, the probability from which a tag is taken to
    be there, and the training image that each image is most like."""

    traits: Mapping[str, Sequence[str]]
    vocabulary: frozenset[str]
    threshold: float
    nearest: Mapping[str, Nearest]


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean, half of its 95 % interval over seeds (None with one seed), and of how many images it is."""

    mean: float
    half: float | None
    images: int


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of one setting: its place on the axes that are compared, and figures by name, those that apply."""

    place: Mapping[str, int]
    figures: Mapping[str, Figure]


def measured(facts: GridFacts, seen: Mapping[str, Seen], known: Known) -> list[Measured]:
    """Every setting that is compared, with its figures."""
    groups: dict[tuple[tuple[str, int], ...], list[Mapping[str, object]]] = defaultdict(list)
    for cell in facts.cells:
        if cell["image"] in seen:
            place = tuple((name, number) for name, number in cell["place"].items() if name not in WITHIN)
            groups[place].append(cell)
    base = _base_images(facts)
    return [Measured(dict(place), _figures(cells, seen, known, base)) for place, cells in groups.items()]


def _figures(
    cells: Sequence[Mapping[str, object]], seen: Mapping[str, Seen], known: Known, base: Mapping[object, str]
) -> dict[str, Figure]:
    by_name: dict[str, list[tuple[object, float]]] = defaultdict(list)
    for cell in cells:
        image, other = str(cell["image"]), base.get(_asked(cell))
        plain = seen.get(other) if other is not None else None
        for name, value in _of_image(str(cell["prompt"]), seen[image], plain, known).items():
            by_name[name].append((cell["seed"], value))
        if image in known.nearest:
            by_name["copying"].append((cell["seed"], known.nearest[image].distance))
    found = {name: figure(values) for name, values in by_name.items()}
    variety = _variety(cells, seen)
    return found | ({"variety": variety} if variety else {})


def _of_image(prompt: str, seen: Seen, plain: Seen | None, known: Known) -> dict[str, float]:
    """The figures that apply to one image; `plain` is what the base model makes of the same."""
    asked = asked_tags(prompt)
    words = [word for word in known.traits if word.casefold() in {tag.casefold() for tag in asked}]
    found: dict[str, float] = {}
    if len(words) == 1 and known.traits[words[0]]:
        found["fidelity"] = share(known.traits[words[0]], seen, known.threshold)
    wanted = [tag for tag in asked if tag not in words and tag in known.vocabulary]
    if wanted:
        found["obedience"] = share(wanted, seen, known.threshold)
    traits = [[tag for tag in each if tag not in asked] for each in known.traits.values()]
    if not words and any(traits):
        found["leakage"] = max(_beyond(each, seen, plain, known.threshold) for each in traits if each)
    if plain is not None:
        found["saturation"] = _ratio(seen.saturation, plain.saturation)
        found["contrast"] = _ratio(seen.contrast, plain.contrast)
    return found


def asked_tags(prompt: str) -> list[str]:
    """The tags of a prompt, without weights and escapes."""
    return [canonical(tag) for tag in split_tags(read_caption_text(prompt).text)]


def share(wanted: Sequence[str], seen: Seen, threshold: float) -> float:
    """The share of tags whose probability reaches the threshold."""
    return sum(seen.tags.get(tag, 0.0) >= threshold for tag in wanted) / len(wanted)


def _beyond(traits: Sequence[str], seen: Seen, plain: Seen | None, threshold: float) -> float:
    before = share(traits, plain, threshold) if plain is not None else 0.0
    return max(0.0, share(traits, seen, threshold) - before)


def figure(values: Sequence[tuple[object, float]]) -> Figure:
    """The mean of (seed, value), and half of its interval: of the seeds' own means, t · s / √n."""
    seeds: dict[object, list[float]] = defaultdict(list)
    for seed, value in values:
        seeds[seed].append(value)
    means = [fmean(each) for each in seeds.values()]
    half = None
    if len(means) > 1:
        freedom = len(means) - 1
        t = T95[freedom - 1] if freedom <= len(T95) else 1.96 + 2.5 / freedom
        half = t * stdev(means) / math.sqrt(len(means))
    return Figure(fmean(value for _, value in values), half, len(values))


def _variety(cells: Sequence[Mapping[str, object]], seen: Mapping[str, Seen]) -> Figure | None:
    """Over the prompts, the mean distance between seeds."""
    hashes: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for cell in cells:
        hashes[cell["prompt"], cell["negative"]].append(seen[str(cell["image"])].phash)
    distances = [distance(one, two) for each in hashes.values() for one, two in combinations(each, 2)]
    return Figure(fmean(distances), None, len(cells)) if distances else None


def distance(one: str, two: str) -> float:
    """The share of the 256 bits in which two PDQ hashes differ."""
    return (int(one, 16) ^ int(two, 16)).bit_count() / 256


def nearest(seen: Mapping[str, Seen], training: Mapping[str, str]) -> dict[str, Nearest]:
    """The training image that is most alike to each image, the first of equals; none where there are none.

    Args:
        training: path → PDQ hash.
    """
    import numpy as np

    if not training:
        return {}
    paths, found = list(training), {}
    hashes = np.frombuffer(bytes.fromhex("".join(training.values())), np.uint64).reshape(len(paths), 4)
    for image, each in seen.items():
        own = np.frombuffer(bytes.fromhex(each.phash), np.uint64)
        bits = np.bitwise_count(hashes ^ own).sum(1)
        place = int(bits.argmin())
        found[image] = Nearest(image, paths[place], int(bits[place]) / 256)
    return found


def copies(found: Iterable[Nearest]) -> list[Nearest]:
    """Images that are nearly a training image, the nearest first."""
    return sorted((each for each in found if each.distance <= SAME), key=lambda each: (each.distance, each.image))


def _base_images(facts: GridFacts) -> dict[object, str]:
    """What is asked for → the image without any adapter, where the grid has one."""
    return {_asked(cell): cell["image"] for cell in facts.cells if not cell.get("adapters")}


def _asked(cell: Mapping[str, object]) -> tuple[object, ...]:
    names = ("prompt", "negative", "seed", "steps", "guidance", "sampler", "clip_skip")
    base = cell["place"].get("base") if isinstance(cell["place"], Mapping) else None
    return base, *(cell.get(name) for name in names)


def _ratio(value: float, of: float) -> float:
    return value / of if of else 1.0


def best(rows: Iterable[Measured]) -> tuple[Measured, Measured | None] | None:
    """The setting that is best at what was asked for, and the runner-up: by the harmonic mean of fidelity and obedience, less
    leakage; None where nothing has both."""
    able = [row for row in rows if {"fidelity", "obedience"} <= set(row.figures)]
    ordered = sorted(able, key=worth, reverse=True)
    return (ordered[0], ordered[1] if len(ordered) > 1 else None) if ordered else None


def worth(row: Measured) -> float:
    """2 · f · o / (f + o) - leakage / 2."""
    fidelity, obedience = row.figures["fidelity"].mean, row.figures["obedience"].mean
    both = 2 * fidelity * obedience / (fidelity + obedience) if fidelity + obedience else 0.0
    leakage = row.figures["leakage"].mean if "leakage" in row.figures else 0.0
    return both - leakage / 2
