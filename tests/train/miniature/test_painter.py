"""The painter paints what the tags say, the same every time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from train.miniature.painter import cut_out, paint
from train.miniature.scenes import (
    ARTISTS,
    BACKGROUNDS,
    CHARACTERS,
    EXPRESSIONS,
    EYE_COLOURS,
    FRAMINGS,
    GARMENTS,
    HAIR_COLOURS,
    HAIR_STYLES,
    HEADWEAR,
    IMPLIES,
    KNOWN_CHARACTERS,
    MEDIA,
    Girl,
    Scene,
    random_girl,
    random_scene,
    traits_match,
    true_tags,
    vocabulary,
)

GIRL = Girl("blonde", "long hair", "blue", "dress", "red", "beret", "smile", "boots", "black")
SCENE = Scene((GIRL,), "simple background", "upper body", "anime screenshot", (64, 64), seed=5)
FULL = replace(SCENE, framing="full body", size=(48, 80))


def scenes(count: int, seed: int = 0) -> list[Scene]:
    rng = np.random.default_rng(seed)
    return [random_scene(rng, artists=True) for _ in range(count)]


def difference(one: Scene, other: Scene) -> float:
    return float(np.abs(np.asarray(paint(one), float) - np.asarray(paint(other), float)).mean())


def test_the_same_scene_gives_the_same_pixels() -> None:
    for scene in scenes(12):
        assert paint(scene).tobytes() == paint(scene).tobytes()


def test_the_same_seed_draws_the_same_scenes() -> None:
    assert scenes(30) == scenes(30)
    assert scenes(30) != scenes(30, seed=1)


def test_every_true_tag_is_in_the_vocabulary_once() -> None:
    names = [name for name, _ in vocabulary()]
    assert len(names) == len(set(names))
    for scene in scenes(300):
        tags = true_tags(scene)
        assert set(tags) <= set(names)
        assert len(tags) == len(set(tags))


def test_tags_are_true_worked_by_hand() -> None:
    assert true_tags(FULL) == (
        "1girl",
        "solo",
        "blonde hair",
        "long hair",
        "blue eyes",
        "beret",
        "red dress",
        "dress",
        "smile",
        "boots",
        "black footwear",
        "simple background",
        "full body",
        "anime screenshot",
        "hat",
    )


def test_footwear_is_tagged_only_where_it_is_seen() -> None:
    assert "boots" in true_tags(FULL)
    assert "boots" not in true_tags(SCENE)


def test_a_tag_brings_what_it_implies() -> None:
    for scene in scenes(200):
        tags = set(true_tags(scene))
        for tag in tags & IMPLIES.keys():
            assert tags.issuperset(IMPLIES[tag])


def test_a_couple_is_counted_and_both_are_described() -> None:
    other = replace(GIRL, hair="blue", eyes="red")
    tags = true_tags(replace(SCENE, girls=(GIRL, other), framing="wide shot", size=(80, 48)))
    assert {"2girls", "multiple girls", "blonde hair", "blue hair", "blue eyes", "red eyes"} <= set(tags)
    assert "solo" not in tags


def test_every_size_is_a_multiple_of_eight_near_one_area() -> None:
    for sizes in FRAMINGS.values():
        for width, height in sizes:
            assert width % 8 == height % 8 == 0
            assert 0.9 <= width * height / 64**2 <= 1.1


def test_an_image_has_the_size_of_its_scene_times_the_scale() -> None:
    assert paint(FULL).size == (48, 80)
    assert paint(FULL, 3.5).size == (168, 280)
    assert cut_out(FULL, 2.0).size == (96, 160)


def test_a_larger_image_shows_the_same() -> None:
    large = paint(FULL, 4.0).resize(FULL.size)
    assert np.abs(np.asarray(large, float) - np.asarray(paint(FULL), float)).mean() < 8


def test_named_characters_are_never_drawn_at_random() -> None:
    rng = np.random.default_rng(3)
    named = [*CHARACTERS.values(), *KNOWN_CHARACTERS.values()]
    for _ in range(4000):
        girl = random_girl(rng)
        assert not any(traits_match(girl, other) for other in named)


def test_no_two_named_characters_look_alike() -> None:
    named = [*CHARACTERS.values(), *KNOWN_CHARACTERS.values()]
    assert len({girl.traits() for girl in named}) == len(named)


def test_only_known_characters_are_tagged_by_name() -> None:
    name, known = next(iter(KNOWN_CHARACTERS.items()))
    assert name in true_tags(replace(SCENE, girls=(known,)))
    for girl in CHARACTERS.values():
        assert not set(KNOWN_CHARACTERS) & set(true_tags(replace(SCENE, girls=(girl,))))


@pytest.mark.parametrize(
    ("trait", "values"),
    [
        ("hair", HAIR_COLOURS),
        ("style", HAIR_STYLES),
        ("eyes", EYE_COLOURS),
        ("garment", GARMENTS),
        ("headwear", (*HEADWEAR, None)),
        ("expression", EXPRESSIONS),
        ("footwear_colour", ("red", "brown", "black")),
    ],
)
def test_every_trait_can_be_seen(trait: str, values: tuple[str, ...]) -> None:
    seen = {paint(replace(FULL, girls=(replace(GIRL, **{trait: value}),))).tobytes() for value in values}  # type: ignore[arg-type]
    assert len(seen) == len(values)


@pytest.mark.parametrize(
    ("part", "values"), [("background", BACKGROUNDS), ("medium", MEDIA), ("artist", (*ARTISTS, None))]
)
def test_surroundings_differ_clearly(part: str, values: tuple[str, ...]) -> None:
    images = [replace(SCENE, **{part: value}) for value in values]  # type: ignore[arg-type]
    assert min(difference(one, other) for one in images for other in images if one is not other) > 3


def test_a_cut_out_is_the_figure_of_the_painting_over_nothing() -> None:
    figure = np.asarray(cut_out(SCENE, 3.0), float)
    alpha = figure[:, :, 3:] / 255
    assert alpha.min() == 0 and alpha.max() == 1
    over_grey = figure[:, :, :3] * alpha + np.asarray((236, 236, 240)) * (1 - alpha)
    assert np.abs(over_grey - np.asarray(paint(SCENE, 3.0), float)).mean() < 1
