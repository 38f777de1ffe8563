from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.tags.statistics.coverage import (
    ALWAYS_PRESENT,
    BALANCED,
    TOO_FEW,
    Together,
    by_concept,
    coverage,
    frequencies,
    sightings,
    together,
)
from pipeline.tags.statistics.mined_implications import confirmed_pairs, ends_with, mine

IMAGES = [
    {"hat": 0.9, "smile": 0.8},
    {"hat": 0.7},
    {},
    {"smile": 0.6, "hat": 0.5, "beach": 0.4},
]
CONCEPTS = ["Lumi", "Lumi", "Lumi", "Quill"]


def test_tags_are_counted_and_weighed_by_how_often_they_are_shown() -> None:
    seen = sightings(IMAGES)
    assert frequencies(seen) == {"hat": 3, "smile": 2, "beach": 1}
    assert frequencies(seen, [1, 2, 1, 10]) == {"hat": 13, "smile": 11, "beach": 10}
    assert by_concept(seen, CONCEPTS) == {"Lumi": {"hat": 2, "smile": 1}, "Quill": {"hat": 1, "smile": 1, "beach": 1}}
    assert by_concept(seen, CONCEPTS, [1, 2, 1, 10])["Lumi"] == {"hat": 3, "smile": 1}


def test_tags_beside_a_tag_are_counted_the_commonest_first() -> None:
    seen = sightings(IMAGES)
    assert together(seen, "hat") == {"smile": 2, "beach": 1}
    assert together(seen, "hat", at_least=2) == {"smile": 2}
    assert together(seen, "no such tag") == {}
    asked = Together(seen)
    assert asked.showing("smile").tolist() == [0, 3]
    assert asked.mean_score("hat", asked.showing("smile")) == pytest.approx(0.7)


@given(st.lists(st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1)), max_size=12), st.sampled_from("abcdef"))
def test_counting_agrees_with_counting_by_hand(images: list[dict[str, float]], tag: str) -> None:
    seen = sightings(images)
    assert frequencies(seen) == {each: sum(each in tags for tags in images) for each in seen.tags}
    beside = {each: sum(each in tags and tag in tags for tags in images) for each in seen.tags if each != tag}
    assert together(seen, tag) == {each: count for each, count in beside.items() if count}


def test_what_can_be_prompted_for_has_examples_with_and_without() -> None:
    images = [{"1girl": 1.0, "hat": 1.0}] * 6 + [{"1girl": 1.0}] * 6 + [{"1girl": 1.0, "crown": 1.0}]
    found = {each.tag: each for each in coverage(sightings(images), ["Lumi"] * 13)}
    assert {tag: each.verdict for tag, each in found.items()} == {
        "1girl": ALWAYS_PRESENT,
        "hat": BALANCED,
        "crown": TOO_FEW,
    }
    assert (found["hat"].present, found["hat"].absent, found["hat"].share) == (6, 7, pytest.approx(6 / 13))


def test_repeats_count_for_what_is_nearly_always_shown() -> None:
    images = [{"hat": 1.0}] * 10 + [{"smile": 1.0}] * 5
    plain = next(each for each in coverage(sightings(images), ["a"] * 15) if each.tag == "hat")
    assert (plain.verdict, plain.exposures_absent) == (BALANCED, 5)
    heavy = next(each for each in coverage(sightings(images), ["a"] * 15, [19] * 10 + [2] * 5) if each.tag == "hat")
    assert (heavy.verdict, heavy.exposures_present, heavy.exposures_absent, heavy.share) == (
        ALWAYS_PRESENT,
        190,
        10,
        0.95,
    )


def test_an_empty_set_has_nothing_to_tell() -> None:
    assert list(coverage(sightings([]), [])) == []
    assert mine(sightings([]), []) == []


# --- rules mined from the set


def armed(swords: int = 40) -> tuple[list[dict[str, float]], list[str]]:
    """Twenty images of someone holding a crystal, and more of crystals that nobody holds, in two concepts."""
    images = (
        [{"holding crystal": 0.7, "crystal": 0.9, "cape": 0.8}] * 20
        + [{"crystal": 0.9}] * swords
        + [{"smile": 0.9}] * 40
    )
    return images, [("Lumi", "Quill")[place % 2] for place in range(len(images))]


def test_a_tag_that_always_comes_with_another_is_learned_and_confirmed_by_its_name() -> None:
    images, concepts = armed()
    found = {(each.child, each.parent): each for each in mine(sightings(images), concepts)}
    rule = found["holding crystal", "crystal"]
    assert rule.confirmed and not rule.alike and (rule.both, rule.images, rule.of_parent) == (20, 20, 60)
    assert rule.figures == "in 20 of 20 images with holding crystal; holding crystal in 20 of 60 with crystal"
    assert confirmed_pairs(found.values()) == {"holding crystal": ("crystal",)}
    assert not found["cape", "crystal"].confirmed, "no name says so: a proposal"
    assert found["holding crystal", "cape"].alike or found["cape", "holding crystal"].alike


def test_few_images_or_an_exception_teach_nothing() -> None:
    images, concepts = armed()
    assert mine(sightings(images[1:]), concepts[1:]) == []
    exception = [{"holding crystal": 0.7}, *images]
    rules = mine(sightings(exception), ["Lumi", *concepts])
    assert ("holding crystal", "crystal") not in {(each.child, each.parent) for each in rules}, "20 of 21 is below 0.97"


def test_what_comes_with_everything_and_what_one_concept_shows_is_not_learned() -> None:
    images = [{"solo": 0.9, "witch hat": 0.9, "white hair": 0.9}] * 30 + [{"solo": 0.9}] * 30
    found = mine(sightings(images), ["Lumi"] * 60)
    assert found == [], "solo is everywhere, and white hair is Lumi's"


def test_a_tag_less_probable_than_the_exact_one_is_not_implied_by_it() -> None:
    images, concepts = armed()
    doubtful = [{tag: 0.4 if tag == "crystal" else score for tag, score in tags.items()} for tags in images]
    pairs = {(each.child, each.parent) for each in mine(sightings(doubtful), concepts)}
    assert ("holding crystal", "crystal") not in pairs


@pytest.mark.parametrize(
    ("child", "parent"), [("holding crystal", "crystal"), ("on back", "back"), ("side braid", "braids")]
)
def test_names_confirm_by_their_last_words(child: str, parent: str) -> None:
    assert ends_with(child, parent) and not ends_with(parent, child)


@pytest.mark.parametrize(
    ("child", "parent"),
    [
        ("braid", "bra"),
        ("twintails", "tail"),
        ("cat ears", "cat"),
        ("glasses", "ass"),
        ("hat ribbon", "hat"),
        ("multicolored hair", "red hair"),
    ],
)
def test_names_inside_names_confirm_nothing(child: str, parent: str) -> None:
    assert not ends_with(child, parent)
