"""Painted training examples for the miniature's own models, grouped by image size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from train.miniature.painter import paint
from train.miniature.scenes import IMPLIES, Scene, random_scene, true_tags

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Group:
    """Images of one size: `pixels` is (N, H, W, 3) uint8 RGB, aligned with `scenes`."""

    scenes: tuple[Scene, ...]
    pixels: np.ndarray


def scenes(count: int, seed: int, artists: bool = False) -> list[Scene]:
    rng = np.random.default_rng([11, seed])
    return [random_scene(rng, artists=artists) for _ in range(count)]


def groups(count: int, seed: int, artists: bool = False) -> list[Group]:
    """Paint `count` random scenes and stack those of equal size."""
    by_size: dict[tuple[int, int], list[Scene]] = defaultdict(list)
    for scene in scenes(count, seed, artists):
        by_size[scene.size].append(scene)
    return [
        Group(tuple(found), np.stack([np.asarray(paint(scene)) for scene in found]))
        for _, found in sorted(by_size.items())
    ]


def batches(sizes: list[int], batch: int, rng: np.random.Generator) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (group, indices) for ever: a group drawn in proportion to its size, then `batch` of its members."""
    share = np.asarray(sizes, float) / sum(sizes)
    while True:
        group = int(rng.choice(len(sizes), p=share))
        yield group, rng.integers(0, sizes[group], batch)


def caption(scene: Scene, rng: np.random.Generator, unknown: float = 0.15) -> str:
    """Write a caption as booru sets have them: count first, the rest shuffled, some tags missing, with the probability
    `unknown` an unknown word, at times nothing at all, so that the model neither needs every tag nor trips over a new one."""
    if rng.random() < 0.1:
        return ""
    tags = list(true_tags(scene))
    if rng.random() < 0.5:
        generic = {girl.garment for girl in scene.girls} | {implied for group in IMPLIES.values() for implied in group}
        tags = [tag for tag in tags if tag not in generic]
    keep = rng.uniform(0.5, 1.0)
    head, rest = tags[:1], [tag for tag in tags[1:] if rng.random() < keep]
    rng.shuffle(rest)
    if rng.random() < unknown:
        word = "".join(rng.choice(list(LETTERS), int(rng.integers(3, 9))))
        rest.insert(int(rng.integers(0, 2)), word)
    return ", ".join(head + rest)


def prompt(scene: Scene) -> str:
    """The full caption a person would prompt the scene with: all tags but those that others imply."""
    implied = {girl.garment for girl in scene.girls} | {word for group in IMPLIES.values() for word in group}
    return ", ".join(tag for tag in true_tags(scene) if tag not in implied)
