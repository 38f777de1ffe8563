import math
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.core.errors import PrepError
from train.evaluation.holdout import ENOUGH, LEAST_KEPT, Candidate, Splits, hold_out, spare
from train.options.recipe import Recipe, make_recipe, with_values

HELD_OUT = make_recipe(validation="held-out", validation_share=0.1, validation_images=1000)


def held_out(found: list[Candidate], recipe: Recipe) -> Splits:
    return hold_out(found, recipe.validation, recipe.run.seed)


def alone(count: int, concept: str = "Lumi", first: int = 0) -> list[Candidate]:
    """Images that belong with no other."""
    return [Candidate(f"{concept}/{number}", concept, first + number, 1.0) for number in range(count)]


@st.composite
def candidates(draw) -> list[Candidate]:
    rows = draw(
        st.lists(
            st.tuples(st.sampled_from("abc"), st.integers(0, 60), st.sampled_from([0.0, 0.25, 1.0, 3.5])),
            min_size=1,
            max_size=120,
        )
    )
    return [Candidate(f"{place:03}", concept, group, times) for place, (concept, group, times) in enumerate(rows)]


@st.composite
def recipes(draw) -> Recipe:
    validation = draw(st.sampled_from(["auto", "training", "held-out"]))
    share = {} if validation == "training" else {"validation_share": draw(st.sampled_from([0.05, 0.2, 0.5]))}
    return make_recipe(
        validation=validation,
        **share,
        validation_images=draw(st.integers(1, 40)),
        seed=draw(st.integers(0, 3)),
    )


def split_examples(found, recipe):
    """The parts, but for sets that have none to spare where some were asked for."""
    try:
        return held_out(found, recipe)
    except PrepError:
        assume(False)


@settings(max_examples=200, deadline=None)
@given(candidates(), recipes())
def test_a_group_is_never_on_both_sides_and_no_concept_loses_too_much(found, recipe):
    parts = split_examples(found, recipe)
    shown = [each for each in found if each.repeats > 0]
    held = [each for each in shown if each.key in parts.held_out]
    assert not {each.group for each in held} & {each.group for each in shown if each.key not in parts.held_out}
    counts, lost = (Counter(each.concept for each in part) for part in (shown, held))
    for concept, number in lost.items():
        assert number <= math.floor(counts[concept] * recipe.validation.validation_share + 0.5)
        assert counts[concept] - number >= LEAST_KEPT
    assert (
        len(parts.held_out) <= recipe.validation.validation_images
        and len(parts.train_subset) <= recipe.validation.validation_images
    )
    assert not set(parts.held_out) & set(parts.train_subset)
    assert parts.repeats.keys() == {each.key for each in found} - set(parts.held_out)
    assert set(parts.train_subset) <= {each.key for each in shown}
    assert len(parts.train_subset) == min(recipe.validation.validation_images, len(shown) - len(held))


@settings(max_examples=200, deadline=None)
@given(candidates(), recipes())
def test_every_concept_keeps_its_exposures(found, recipe):
    parts = split_examples(found, recipe)
    for concept in {each.concept for each in found}:
        before = sum(each.repeats for each in found if each.concept == concept)
        after = sum(parts.repeats.get(each.key, 0.0) for each in found if each.concept == concept)
        assert after == pytest.approx(before)


@settings(max_examples=100, deadline=None)
@given(st.data(), candidates(), recipes())
def test_the_order_and_the_numbers_of_groups_change_nothing(data, found, recipe):
    parts = split_examples(found, recipe)
    renumbered = [replace(each, group=1000 - each.group) for each in data.draw(st.permutations(found))]
    again = held_out(renumbered, recipe)
    assert again == parts and list(again.held_out) == sorted(again.held_out)


@settings(max_examples=100, deadline=None)
@given(st.integers(20, 90), st.integers(20, 90), st.integers(0, 50))
def test_an_added_image_moves_at_most_one_of_its_own_concept(one, other, seed):
    recipe = with_values(HELD_OUT, seed=seed)
    before = held_out([*alone(one), *alone(other, "Quill", 500)], recipe)
    after = held_out([*alone(one + 1), *alone(other, "Quill", 500)], recipe)
    gone, come = set(before.held_out) - set(after.held_out), set(after.held_out) - set(before.held_out)
    assert len(gone) <= 1 and len(come) <= 1 and all(key.startswith("Lumi") for key in gone | come)


def test_other_seeds_hold_out_other_images():
    chosen = {held_out(alone(100), with_values(HELD_OUT, seed=seed)).held_out for seed in range(4)}
    assert len(chosen) == 4 and all(len(held) == 10 for held in chosen)


@pytest.mark.parametrize(
    ("images", "share", "spared"),
    [(100, 0.05, 5), (10, 0.05, 1), (9, 0.05, 0), (9, 0.5, 1), (8, 0.5, 0), (0, 0.5, 0)],
)
def test_what_a_concept_can_spare_worked_by_hand(images, share, spared):
    assert spare(images, share) == spared


def test_auto_holds_out_from_two_hundred_images_on_and_says_what_it_did():
    few, enough = (held_out(alone(count), make_recipe()) for count in (ENOUGH - 1, ENOUGH))
    assert not few.held_out and len(few.train_subset) == 16
    assert few.info == (
        "validation: 199 images are too few to hold any out, which is done from 200 on; the loss is measured on 16 "
        "images of 1 concept that are trained on: it falls as they are learned by heart, so it tells a standstill from "
        "progress, and nothing of overfitting; look at the samples too",
    )
    assert len(enough.held_out) == 10 and len(enough.train_subset) == 16
    assert enough.info == (
        "validation: 10 images of 1 concept are held out and never trained on, beside 16 images of 1 concept of those "
        "that are",
    )


def test_repeats_worked_by_hand():
    found = [*alone(20), Candidate("Lumi/heavy", "Lumi", 99, 4.0), *alone(8, "Quill", 200)]
    parts = held_out(found, with_values(HELD_OUT, validation_share=0.1))
    assert len(parts.held_out) == 2 and "Lumi/heavy" not in parts.held_out
    assert parts.repeats["Lumi/heavy"] == pytest.approx(4 * 24 / 22)
    kept = next(key for key in parts.train_subset if key.startswith("Lumi/") and key != "Lumi/heavy")
    assert parts.repeats[kept] == pytest.approx(24 / 22)
    assert parts.repeats["Quill/0"] == 1.0, "a concept that holds none out is left as it is"


def test_a_concept_that_can_spare_none_says_so():
    parts = held_out([*alone(30), *alone(9, "Quill", 100)], with_values(HELD_OUT, validation_share=0.05))
    assert {key.split("/")[0] for key in parts.held_out} == {"Lumi"}
    assert (
        "validation: none is held out of Quill (9): a concept must keep 8 images and lose 5% of them at most, "
        "rounded; their loss is measured on what is trained on" in parts.info
    )


def test_a_concept_of_one_large_group_holds_none_out_and_says_why():
    series = [replace(each, group=7) for each in alone(30, "Series", 100)]
    parts = held_out([*alone(30), *series], HELD_OUT)
    assert {key.split("/")[0] for key in parts.held_out} == {"Lumi"} and len(parts.held_out) == 3
    assert any("Series (30)" in remark and "belong together" in remark for remark in parts.info)


def test_concepts_come_in_turn_and_those_without_one_are_named():
    found = [each for number in range(6) for each in alone(40, f"c{number}", 100 * number)]
    parts = held_out(found, with_values(HELD_OUT, validation_images=4))
    assert len({key.split("/")[0] for key in parts.held_out}) == 4 and len({key[:2] for key in parts.train_subset}) == 4
    assert any("2 of 6 concepts are not validated" in remark for remark in parts.info)


def test_the_train_subset_is_of_different_groups_as_far_as_there_are_some():
    found = [replace(each, group=place % 5) for place, each in enumerate(alone(50))]
    parts = held_out(found, make_recipe(validation="training", validation_images=5))
    groups = {each.key: each.group for each in found}
    assert sorted(groups[key] for key in parts.train_subset) == [0, 1, 2, 3, 4]


def test_nothing_is_looked_at_without_validation():
    parts = held_out(alone(300), make_recipe(validation="none"))
    assert (parts.held_out, parts.train_subset, parts.info) == ((), (), ()) and len(parts.repeats) == 300


def test_holding_out_where_no_concept_can_spare_one_is_an_error_that_says_why():
    with pytest.raises(PrepError) as caught:
        held_out(alone(8), HELD_OUT)
    assert caught.value.message == (
        "train: validation is 'held-out', but no concept can spare an image: the largest, Lumi, has 8; one must keep 8 "
        "and lose no more than 10% of them, near-duplicates together"
    )
    assert 'validation = "training"' in caught.value.hint
