from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.store.records import Tagger
from pipeline.store.wording import phrase
from pipeline.tags.captions.selection import Combine, TaggerVote, choose, choose_together
from pipeline.tags.captions.thresholds import Limits, limits_of, published

A = TaggerVote(
    "a", {"smile": "general", "hat": "general", "mira": "character"}, Limits({"general": 0.3, "character": 0.8}, {}, {})
)
B = TaggerVote("b", {"smile": "general", "frown": "general"}, Limits({"general": 0.5}, {}, {}))
SCORES = {"a": {"smile": 0.4, "hat": 0.9}, "b": {"smile": 0.4, "frown": 0.6}}


def judged(combine: Combine) -> dict[str, tuple[bool, float, str]]:
    return {
        each.tag: (each.chosen, each.score, phrase(each.cause))
        for each in choose_together(SCORES, (A, B), combine, 0.1)
    }


def test_the_union_takes_what_one_tagger_says_and_the_reason_names_all_who_know_the_tag() -> None:
    found = judged("union")
    assert found["smile"] == (True, 0.4, "a 0.40 ≥ 0.30, b 0.40 < 0.50")
    assert found["hat"] == (True, 0.9, "a 0.90 ≥ 0.30"), "b does not know it"


def test_the_intersection_takes_what_all_say_who_know_the_tag() -> None:
    found = judged("intersection")
    assert not found["smile"][0] and found["hat"][0] and found["frown"][0]


def test_the_mean_of_probabilities_is_held_against_the_mean_of_thresholds() -> None:
    assert judged("mean")["smile"] == (True, 0.4, "mean 0.40 ≥ 0.40 of a 0.40 ≥ 0.30, b 0.40 < 0.50")


def test_a_tagger_that_did_not_score_an_image_has_no_say() -> None:
    (found,) = choose_together({"a": {"smile": 0.4}}, (A, B), "intersection", 0.1)
    assert found.chosen and phrase(found.cause) == "a 0.40 ≥ 0.30"
    assert choose_together({}, (A,), "union", 0.1) == [] == choose_together({}, (A, B), "union", 0.1)


@pytest.mark.parametrize("combine", ["union", "intersection", "mean"])
def test_tags_of_image_boards_hold_whatever_the_taggers_say_and_go_first(combine: Combine) -> None:
    board = TaggerVote(
        "booru@s/none", {"hat": "general", "frown": "general", "safe": "rating"}, Limits({"general": 0.35}, {}, {})
    )
    scores = {**SCORES, "booru@s/none": {"frown": 1.0, "scarf": 1.0, "safe": 1.0}, "a": {"smile": 0.1, "hat": 0.2}}
    found = {each.tag: each for each in choose_together(scores, (A, B, board), combine, 0.1)}
    assert list(found)[:2] == ["frown", "scarf"] and found["frown"].chosen and found["scarf"].chosen
    assert phrase(found["frown"].cause) == "tagged on an image board (tagger 0.60)"
    assert phrase(found["scarf"].cause) == "tagged on an image board"
    assert not found["hat"].chosen and not found["smile"].chosen and "safe" not in found
    alone = choose_together({"booru@s/none": {"frown": 1.0}}, (A, B, board), combine, 0.1)
    assert [(each.tag, each.chosen) for each in alone] == [("frown", True)], "an image that no tagger scored"


@given(
    st.dictionaries(st.sampled_from(["smile", "hat", "frown"]), st.floats(0.01, 1)),
    st.dictionaries(st.sampled_from(["smile", "frown"]), st.floats(0.01, 1)),
)
def test_what_all_say_is_in_the_mean_and_what_the_mean_says_is_in_the_union(
    one: dict[str, float], other: dict[str, float]
) -> None:
    scores = {"a": one, "b": other}
    kinds: tuple[Combine, ...] = ("intersection", "mean", "union")
    strict, middle, loose = (
        {each.tag for each in choose_together(scores, (A, B), kind, 0.1) if each.chosen} for kind in kinds
    )
    assert strict <= middle <= loose


def tagger(name: str, **categories: str) -> Tagger:
    return Tagger(name, "1", "p", "CPU", categories)


def test_a_persons_threshold_goes_before_the_models() -> None:
    wd = tagger("wd-swinv2-v3", smile="general", mira="character")
    assert published(wd) == ({"general": 0.2653, "character": 0.85}, {})
    assert limits_of(wd, {}, {}).of("smile", "general") == 0.2653
    assert limits_of(wd, {"general": 0.4}, {}).of("smile", "general") == 0.4
    assert limits_of(wd, {"general": 0.4}, {"smile": 0.6}).of("smile", "general") == 0.6
    assert limits_of(wd, {}, {}).of("series", "copyright") == 0.2653, "as general"
    assert limits_of(tagger("unheard of"), {}, {}).of("smile", "general") == 0.35


def test_a_threshold_that_the_model_publishes_for_a_tag_is_used_unless_a_person_sets_its_category() -> None:
    model = replace(
        tagger("any", wariza="general", smile="general"),
        thresholds={"general": 0.4, "character": 0.7},
        tag_thresholds={"wariza": 0.6},
    )
    assert published(model) == ({"general": 0.4, "character": 0.7}, {"wariza": 0.6})
    assert limits_of(model, {}, {}).of("wariza", "general") == 0.6
    assert limits_of(model, {"general": 0.3}, {}).of("wariza", "general") == 0.3
    assert limits_of(model, {"character": 0.3}, {}).of("wariza", "general") == 0.6


def test_a_persons_threshold_for_a_tag_holds_against_the_largest_gap() -> None:
    vote = TaggerVote("a", {}, Limits({"general": 0.35}, {}, {"hat": 0.95}))
    found = {
        each.tag: each.chosen for each in choose({"smile": 0.9, "hat": 0.9, "angry": 0.12}, vote, 0.1, largest_gap=True)
    }
    assert found == {"smile": True, "hat": False, "angry": False}


def test_quality_and_ratings_are_not_judged_by_threshold() -> None:
    vocabulary = {"best quality": "quality", "general": "rating", "noobai": "model", "year 2024": "year", "x": "meta"}
    vote = TaggerVote("a", vocabulary, Limits({"general": 0.3}, {}, {}))
    assert [each.tag for each in choose(dict.fromkeys(vocabulary, 0.9), vote, 0.1)] == ["x"]
