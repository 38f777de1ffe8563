"""Shares: a tree of concepts in which every branch gets what it was promised, and the repeats that bring it about."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Rounding = Literal["floor", "nearest", "largest-remainder"]
OWN = "."
"""The name, below a concept, of the child that stands for the pictures lying in the concept itself."""
EPSILON = 1e-9


@dataclass(slots=True)
class Node:
    """A branch of the tree: a leaf has a concept and its `pictures`, any other node has children."""

    name: str
    weight: float = 1.0
    concept: str = ""
    pictures: int = 0
    children: dict[str, Node] = field(default_factory=dict)


def tree(counts: Mapping[str, int], weights: Mapping[str, float]) -> Node:
    """Build the tree of concept paths that have pictures.

    Args:
        counts: concept path → pictures, each above 0.
        weights: path → weight among its siblings, 1 where none is given; `a/.` is for the pictures in `a` itself.
    """
    root = Node("")
    for concept, pictures in sorted(counts.items()):
        node, path = root, ""
        for part in concept.split("/"):
            path = f"{path}/{part}" if path else part
            node = node.children.setdefault(part, Node(path, weights.get(path, 1.0)))
        node.concept, node.pictures = concept, pictures
    _split_own(root, weights)
    return root


def _split_own(node: Node, weights: Mapping[str, float]) -> None:
    if node.children and node.concept:
        path = f"{node.name}/{OWN}"
        node.children[OWN] = Node(path, weights.get(path, 1.0), node.concept, node.pictures)
        node.concept, node.pictures = "", 0
    for child in node.children.values():
        _split_own(child, weights)


def nodes(node: Node) -> list[str]:
    """The paths that a weight can be given for."""
    return [path for child in node.children.values() for path in (child.name, *nodes(child))]


def shares(node: Node, share: float = 1.0) -> dict[str, float]:
    """Concept → its share; a node's share is split among its children in proportion to their weights."""
    if not node.children:
        return {node.concept: share}
    total = math.fsum(child.weight for child in node.children.values())
    return {
        concept: part
        for child in node.children.values()
        for concept, part in shares(child, share * child.weight / total).items()
    }


def multipliers(
    node: Node, counts: Mapping[str, int], min_repeat: float = 1.0, max_repeat: float | None = None
) -> dict[str, float]:
    """Concept → how often each of its pictures is shown per epoch: share / pictures, the smallest being `min_repeat`.

    What `max_repeat` cuts from a concept goes to its siblings, and only what they cannot take to their parent's; the
    epoch is then as long as makes the smallest `min_repeat` again.
    """
    promised = shares(node)
    shown = min_repeat / min(promised[concept] / counts[concept] for concept in counts)
    free = {concept: promised[concept] * shown / counts[concept] for concept in counts}
    if max_repeat is None or max(free.values()) <= max_repeat:
        return free

    def at(total: float) -> dict[str, float]:
        amounts = _pour(node, total, max_repeat)
        return {concept: amounts[concept] / counts[concept] for concept in counts}

    low, high = 0.0, min(shown, max_repeat * sum(counts.values()))
    while high - low > EPSILON * high:
        middle = (low + high) / 2
        low, high = (low, middle) if min(at(middle).values()) >= min_repeat else (middle, high)
    return at(high)


def _pour(node: Node, amount: float, max_repeat: float) -> dict[str, float]:
    """Split an amount of shown pictures by weight, no leaf getting more than it can hold."""
    if not node.children:
        return {node.concept: min(amount, node.pictures * max_repeat)}
    room = {name: _room(child, max_repeat) for name, child in node.children.items()}
    parts: dict[str, float] = {}
    open_names = list(node.children)
    while open_names:
        left = amount - math.fsum(parts.values())
        total = math.fsum(node.children[name].weight for name in open_names)
        offered = {name: left * node.children[name].weight / total for name in open_names}
        full = [name for name in open_names if offered[name] > room[name]]
        parts |= {name: room[name] for name in full} if full else offered
        open_names = [name for name in open_names if name not in full] if full else []
    return {
        concept: part
        for name, child in node.children.items()
        for concept, part in _pour(child, parts[name], max_repeat).items()
    }


def _room(node: Node, max_repeat: float) -> float:
    return (
        node.pictures * max_repeat
        if not node.children
        else math.fsum(_room(child, max_repeat) for child in node.children.values())
    )


def repeats(exact: Mapping[str, float], counts: Mapping[str, int], rounding: Rounding = "floor") -> dict[str, int]:
    """Whole repeats for trainers that know no others, never below 1.

    `largest-remainder` rounds down, then up again where the remainder is largest, for as long as the epoch does not
    get longer than the exact one.
    """
    if rounding == "nearest":
        return {concept: max(1, math.floor(value + 0.5)) for concept, value in exact.items()}
    whole = {concept: max(1, math.floor(value + EPSILON)) for concept, value in exact.items()}
    if rounding == "floor":
        return whole
    room = sum(counts[concept] * (exact[concept] - whole[concept]) for concept in exact)
    for concept in sorted(exact, key=lambda name: (whole[name] - exact[name], name)):
        if exact[concept] > whole[concept] and counts[concept] <= room + EPSILON:
            whole[concept] += 1
            room -= counts[concept]
    return whole
