"""The figures of a grid, by hand."""

from pathlib import Path

import pytest

from pipeline.report.grid.facts import GridFacts
from pipeline.report.grid.figures import figures_of
from pipeline.report.grid.measures import (
    Figure,
    Known,
    Measured,
    asked_tags,
    best,
    copies,
    distance,
    figure,
    measured,
    nearest,
)
from pipeline.report.grid.scores import Scores, Seen

TRAITS = {"Lumi": ("silver hair", "red eyes", "witch hat", "hair ribbon"), "Tess": ("green eyes", "braid")}
WORDS = frozenset({"1girl", "smile", "black kimono", *TRAITS["Lumi"], *TRAITS["Tess"]})
HASH, OTHER = "0" * 64, "f" * 8 + "0" * 56
TRAINING = {"images/a.png": "f" * 64, "images/b.png": OTHER}


def seen(*tags: str, phash: str = HASH, saturation: float = 0.5) -> Seen:
    return Seen(dict.fromkeys(tags, 0.9) | {"smile": 0.2}, phash, saturation, 0.25)


def cell(image: str, prompt: str, strength: int, seed: int, adapters: str = "lumi") -> dict:
    place = {"strength": strength, "prompt": 0, "seed": seed}
    row = {
        "place": place,
        "image": image,
        "prompt": prompt,
        "negative": "",
        "seed": seed,
        "steps": 9,
        "guidance": 7,
        "sampler": "ddim",
    }
    return row | ({"adapters": adapters} if adapters else {})


def known(images: dict[str, Seen]) -> Known:
    return Known(TRAITS, WORDS, 0.35, nearest(images, TRAINING))


def facts(*cells: dict) -> GridFacts:
    return GridFacts(
        Path("grid"),
        {"strength": ("0", "1"), "prompt": ("a",), "seed": ("0", "1", "2")},
        "strength",
        "prompt",
        cells,
    )


def test_the_tags_of_a_prompt_are_read_as_captions_are():
    assert asked_tags("(red_hair:1.3), Lumi, mira \\(x\\), BREAK smile") == ["red hair", "Lumi", "mira (x)", "smile"]


def test_fidelity_and_obedience_are_shares_of_what_was_found():
    prompt = "1girl, Lumi, smile, unheard of"
    images = {"a": seen("1girl", "silver hair", "red eyes", "witch hat")}
    (row,) = measured(facts(cell("a", prompt, 1, 0)), images, known(images))
    assert row.place == {"strength": 1}
    assert row.figures["fidelity"] == Figure(0.75, None, 1), "three of four traits"
    assert row.figures["obedience"] == Figure(0.5, None, 1), (
        "1girl of 1girl and smile; the tagger does not know the rest"
    )
    assert row.figures["copying"].mean == pytest.approx(32 / 256)
    assert "leakage" not in row.figures and "variety" not in row.figures


def test_leakage_is_what_lies_beyond_the_base_models_image():
    prompt = "1girl, smile"
    images = {
        "base": seen("1girl", "red eyes"),
        "a": seen("1girl", "red eyes", "witch hat", "silver hair", saturation=0.75),
    }
    rows = measured(facts(cell("base", prompt, 0, 0, ""), cell("a", prompt, 1, 0)), images, known(images))
    plain, trained = (row.figures for row in rows)
    assert plain["leakage"].mean == 0
    assert trained["leakage"].mean == pytest.approx(0.5), "3 of 4 less 1 of 4"
    assert trained["saturation"].mean == pytest.approx(1.5) and trained["contrast"].mean == 1


def test_a_prompt_with_two_trigger_words_has_no_fidelity_of_either():
    images = {"a": seen("silver hair")}
    (row,) = measured(facts(cell("a", "Lumi, Tess", 1, 0)), images, known(images))
    assert set(row.figures) == {"copying"}


def test_the_interval_is_of_the_seeds_own_means():
    """Seeds at .5, .7 and .9: mean .7, s = .2, t(2) = 4.30, so half is 4.30 · .2 / √3."""
    values = [(1, 0.4), (1, 0.6), (2, 0.7), (2, 0.7), (3, 0.9), (3, 0.9)]
    found = figure(values)
    assert found.mean == pytest.approx(0.7) and found.images == 6
    assert found.half == pytest.approx(4.30 * 0.2 / 3**0.5)
    assert figure([(1, 0.4), (1, 0.6)]).half is None


def test_variety_is_the_distance_between_seeds_of_one_prompt():
    assert distance(HASH, OTHER) == 32 / 256
    cells = [cell("a", "smile", 1, 0), cell("b", "smile", 1, 1), cell("c", "smile", 1, 2)]
    images = {"a": seen(), "b": seen(phash=OTHER), "c": seen(phash=OTHER)}
    (row,) = measured(facts(*cells), images, known(images))
    assert row.figures["variety"].mean == pytest.approx((32 + 32 + 0) / 3 / 256)


def test_a_copy_of_a_training_image_is_named():
    near = "f" * 63 + "e"
    (copy,) = copies(nearest({"a": seen(phash=near), "b": seen()}, {"images/x.png": "f" * 64}).values())
    assert (copy.image, copy.training, copy.distance) == ("a", "images/x.png", 1 / 256)


def row(place: int, **means: float) -> Measured:
    return Measured({"strength": place}, {name: Figure(mean, 0.1, 3) for name, mean in means.items()})


def test_the_best_is_faithful_and_obedient_and_does_not_leak():
    """2 · .8 · .6 / 1.4 = .686; 2 · .7 · .7 / 1.4 = .7; the first leaks nothing, the second .4, which costs .2."""
    first, second, third = (
        row(0, fidelity=0.8, obedience=0.6, leakage=0),
        row(1, fidelity=0.7, obedience=0.7, leakage=0.4),
        row(2, leakage=0),
    )
    assert best([second, third, first]) == (first, second)
    assert best([third]) is None


def test_the_table_marks_the_best_and_tells_what_it_rests_on():
    cells = [cell(f"{strength}{seed}", "1girl, Lumi", strength, seed) for strength in (0, 1) for seed in (0, 1)]
    images = {"00": seen("1girl"), "01": seen(), "10": seen("1girl", *TRAITS["Lumi"]), "11": seen("1girl", "red eyes")}
    table = figures_of(facts(*cells), Scores("wd", images, WORDS, 0.35), known(images))
    assert table.columns == ("fidelity", "obedience", "variety", "copying")
    assert [(each.labels, each.best) for each in table.rows] == [(("0",), False), (("1",), True)]
    assert table.advice[0].startswith("best at what was asked for: strength 1 (fidelity 0.62 ± ")
    assert table.advice[1].endswith("over these seeds the two cannot be told apart by fidelity")
