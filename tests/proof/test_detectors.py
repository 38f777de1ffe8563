"""Planted faults are found, and little else: floors under what `python -m tests.proof.detectors` prints."""

from __future__ import annotations

import pytest

from .detectors import Figures, compared, measure, table
from .planted import World

FLOORS = {
    "implied duplicates, by name and table": (0.97, 0.82),
    "implied duplicates, learned from scores": (0.97, 0.9),
    "pairs that only look like duplicates, left alone": (0.99, 0.99),
    "colour and garment to join": (0.92, 0.95),
    "core traits of characters": (1.0, 0.95),
    "images with watermark, text, border …": (0.99, 0.85),
    "tags that are always on": (0.9, 0.85),
    "wrong hair colour": (0.9, 0.95),
    "hair colour missing": (0.9, 0.95),
    "misspelt trigger words": (0.95, 0.95),
}
"""Detector → (precision, recall) that it must reach."""


@pytest.fixture(scope="module", params=[0, 3])
def figures(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Figures]:
    found = measure(World(request.param), tmp_path_factory.mktemp("planted") / "set")
    return {each.name: each for each in found}


def test_every_detector_reaches_its_floor(figures: dict[str, Figures]) -> None:
    assert figures.keys() == FLOORS.keys()
    low = {
        name: (each.precision, each.recall)
        for name, each in figures.items()
        if each.precision < FLOORS[name][0] or each.recall < FLOORS[name][1]
    }
    assert not low


def test_every_kind_of_fault_was_planted(figures: dict[str, Figures]) -> None:
    assert min(each.planted for each in figures.values()) >= 20


def test_figures_are_those_worked_by_hand() -> None:
    each = compared("hair", {("a", "x"), ("b", "x"), ("c", "x"), ("d", "x")}, {("a", "x"), ("b", "x"), ("e", "x")})
    assert (each.planted, each.found, each.right) == (4, 3, 2)
    assert each.precision == pytest.approx(2 / 3) and each.recall == 0.5
    assert table([each]).splitlines()[-1] == "| hair | 4 | 3 | 0.667 | 0.500 |"


def test_a_world_is_the_same_for_a_seed_and_another_for_another() -> None:
    assert World(5, 10).truth == World(5, 10).truth != World(6, 10).truth
