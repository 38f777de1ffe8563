"""Shares: a tree of concepts in which every branch gets what it was to get, and the repeats that bring it about."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Rounding = Literal["floor", "nearest", "largest-remainder"]
OWN = "."
"""The name, below a concept, of the child that stands for the images lying in the concept itself."""
EPSILON = 1e-9


@dataclass(slots=True)
class Node:
    """A branch of the tree with the `images` in and below it; a leaf has a concept, any other node children.

    `weight` is what was given for it, `pull` what its parent's share is split by.
    """

    name: str
    weight: float = 1.0
    concept: str = ""
    images: int = 0
    pull: float = 1.0
    children: dict[str, Node] = field(default_factory=dict)


def tree(counts: Mapping[str, int], weights: Mapping[str, float], exponent: float = 0.0) -> Node:
    """Build the tree of concept paths that have images.

    Args:
        counts: concept path → images, each above 0.
        weights: path or pattern → weight among siblings, 1 where none is given; `a/.` is for the images in `a` itself.
        exponent: a child pulls with weight · images^exponent: 0 leaves the weights alone, 1 keeps the proportions
            that the images have (exponentiated sampling, as for languages in mBERT and XLM-R, with exponent for α).
    """
    root = Node("")
    for concept, images in sorted(counts.items()):
        node, path = root, ""
        for part in concept.split("/"):
            path = f"{path}/{part}" if path else part
            node = node.children.setdefault(part, Node(path))
        node.concept, node.images = concept, images
    _finish(root, weights, key_finder(weights), exponent)
    return root


def _finish(node: Node, weights: Mapping[str, float], find: Callable[[str], str | None], exponent: float) -> None:
    """Split off own images, weigh every node and count what lies below it, from here down."""
    if node.children and node.concept:
        own = Node(f"{node.name}/{OWN}", concept=node.concept, images=node.images)
        node.children = {OWN: own, **node.children}
        node.concept = ""
    for child in node.children.values():
        _finish(child, weights, find, exponent)
    if node.children:
        node.images = sum(child.images for child in node.children.values())
    key = find(node.name)
    node.weight = 1.0 if key is None else weights[key]
    node.pull = node.weight * float(node.images) ** exponent


def nodes(node: Node) -> list[str]:
    """The paths that a weight can be given for, every branch before what grows on it."""
    return [path for child in node.children.values() for path in (child.name, *nodes(child))]


# --- weights by path and by pattern


def key_finder(weights: Mapping[str, float]) -> Callable[[str], str | None]:
    """How a path finds the key its weight stands under, None if no key is for it.

    The path itself goes first, then the pattern with most letters beside `*`; among equals the one with fewer `*`,
    then the first in alphabetical order: the order of writing never matters.
    """
    patterns = [(key, pattern(key)) for key in sorted(weights, key=_vagueness) if "*" in key]

    def find(path: str) -> str | None:
        if path in weights:
            return path
        return next((key for key, found in patterns if found.fullmatch(path)), None)

    return find


def _vagueness(key: str) -> tuple[int, int, str]:
    stars = key.count("*")
    return stars - len(key), stars, key


def pattern(key: str) -> re.Pattern[str]:
    """A key as a pattern: `*` is any text within a level, `**` any number of levels; nothing else is special."""
    levels = key.split("/")
    written = ""
    for place, level in enumerate(levels):
        last = place == len(levels) - 1
        if level == "**":
            written += ".+" if last else "(?:[^/]+/)*"
        else:
            written += "[^/]*".join(re.escape(part) for part in re.split(r"\*+", level)) + ("" if last else "/")
    return re.compile(written, re.DOTALL)


def unmatched(paths: list[str], weights: Mapping[str, float]) -> list[str]:
    """The keys of weights that are for none of these paths."""
    known = set(paths)
    return [key for key in weights if key not in known and not ("*" in key and any(map(pattern(key).fullmatch, paths)))]


# --- shares and repeats


def shares(node: Node, share: float = 1.0) -> dict[str, float]:
    """Concept → its share; a node's share is split among its children in proportion to what they pull with."""
    if not node.children:
        return {node.concept: share}
    total = math.fsum(child.pull for child in node.children.values())
    return {
        concept: part
        for child in node.children.values()
        for concept, part in shares(child, share * child.pull / total).items()
    }


def exact_repeats(
    node: Node, counts: Mapping[str, int], min_repeat: float = 1.0, max_repeat: float | None = None
) -> dict[str, float]:
    """Concept → how often each of its images is shown per epoch: share / images, the smallest being `min_repeat`.

    What `max_repeat` cuts from a concept goes to its siblings, and only what they cannot take to their parent's; the
    epoch is then as long as makes the smallest `min_repeat` again.
    """
    target_shares = shares(node)
    shown = min_repeat / min(target_shares[concept] / counts[concept] for concept in counts)
    free = {concept: target_shares[concept] * shown / counts[concept] for concept in counts}
    if max_repeat is None or max(free.values()) <= max_repeat:
        return free

    def at(total: float) -> dict[str, float]:
        amounts = _pour(node, total, max_repeat)
        return {concept: amounts[concept] / counts[concept] for concept in counts}

    low, high = 0.0, min(shown, max_repeat * sum(counts.values()))
    while high - low > EPSILON * high:
        middle = (low + high) / 2
        low, high = (low, middle) if min(at(middle).values()) >= min_repeat else (middle, high)
    below, above = min(at(low).values()), min(at(high).values())  # the smallest grows evenly between two so near
    return at(low + (high - low) * (min_repeat - below) / (above - below)) if above > below else at(high)


def _pour(node: Node, amount: float, max_repeat: float) -> dict[str, float]:
    """Split an amount of shown images by what each child pulls with, no leaf getting more than it can hold."""
    if not node.children:
        return {node.concept: min(amount, node.images * max_repeat)}
    rising = sorted(node.children.items(), key=lambda item: item[1].images / item[1].pull)
    pulls = list(itertools.accumulate(child.pull for _, child in reversed(rising)))
    parts: dict[str, float] = {}
    level = amount / pulls[-1]
    for name, child in rising:  # the soonest full first; from the first that is not, all get the same level
        parts[name] = min(level * child.pull, child.images * max_repeat)
        pulls.pop()
        if parts[name] < level * child.pull and pulls:
            amount -= parts[name]
            level = amount / pulls[-1]
    return {
        concept: part
        for name, child in node.children.items()
        for concept, part in _pour(child, parts[name], max_repeat).items()
    }


def whole_repeats(
    exact: Mapping[str, float], counts: Mapping[str, int], rounding: Rounding = "floor"
) -> dict[str, int]:
    """Whole repeats for trainers that know no others, never below 1.

    `largest-remainder` rounds down, then up again where the remainder is largest, for as long as the epoch does not
    get longer than the exact one.
    """
    if rounding == "nearest":
        return {concept: max(1, math.floor(value + 0.5)) for concept, value in exact.items()}
    whole = {concept: max(1, math.floor(value * (1 + EPSILON))) for concept, value in exact.items()}
    if rounding == "floor":
        return whole
    room = sum(counts[concept] * (exact[concept] - whole[concept]) for concept in exact)
    for concept in sorted(exact, key=lambda name: (whole[name] - exact[name], name)):
        if exact[concept] > whole[concept] and counts[concept] <= room + EPSILON:
            whole[concept] += 1
            room -= counts[concept]
    return whole
