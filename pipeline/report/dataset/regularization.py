"""Images beside their regularization images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.report.dataset.facts import Facts, Pair

MOST_SHOWN = 2
"""How many regularization images stand beside their image; how many more there are is said."""


@dataclass(frozen=True, slots=True)
class ShownImage:
    """An image of a pair and the words below it."""

    file: Path
    name: str
    words: str


@dataclass(frozen=True, slots=True)
class PairView:
    """An image, the first of its regularization images, and how many more of these there are."""

    shown: tuple[ShownImage, ...]
    caption: str
    more: int


@dataclass(frozen=True, slots=True)
class RegularizationView:
    """`generated` says that every regularization image was generated for its image, none supplied by the user;
    `several` that an image has more than one."""

    images: int
    reg_images: int
    generated: bool
    several: bool
    pairs: tuple[PairView, ...]


def regularization_view(facts: Facts) -> RegularizationView | None:
    """None where there are no regularization images."""
    if not facts.pairs:
        return None
    return RegularizationView(
        facts.pair_count,
        facts.reg_image_count,
        all(pair.matched for pair in facts.pairs),
        facts.reg_image_count > facts.pair_count,
        tuple(map(_pair, facts.pairs)),
    )


def _pair(pair: Pair) -> PairView:
    one, many = ("its regularization image", "regularization image") if pair.matched else ("user-supplied",) * 2
    shown = [
        ShownImage(
            file, f"regularization image of {pair.name}", one if len(pair.reg_images) == 1 else f"{many} {number}"
        )
        for number, file in enumerate(pair.reg_images[:MOST_SHOWN], 1)
    ]
    own = ShownImage(pair.file, pair.name, "your image")
    return PairView((own, *shown), pair.caption, len(pair.reg_images) - len(shown))
