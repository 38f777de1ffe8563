from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.store.reasons.tags import contradiction_figures
from pipeline.tags.captions.build import fix
from pipeline.tags.captions.ledger import Ledger
from pipeline.tags.captions.selection import by_score
from pipeline.tags.statistics.contradictions import (
    Contradiction,
    Seen,
    attributes_of,
    contradictions_in,
    dominants,
    look,
)
from pipeline.tags.vocabulary.attributes import attribute_of, compatible


def folder(odd: dict[str, float] | None = None, below: dict[str, float] | None = None, count: int = 9) -> list[Seen]:
    """Images of a blonde girl with blue eyes and long hair, and an odd one at the end."""
    usual = {"1girl": 0.9, "blonde hair": 0.9, "blue eyes": 0.9, "long hair": 0.9}
    images = [look("Lumi", usual, {}) for _ in range(count)]
    return [*images, look("Lumi", odd, below or {})] if odd is not None else images


def odd_one(
    odd: dict[str, float], below: dict[str, float] | None = None, **options: frozenset[str]
) -> list[Contradiction]:
    images = folder(odd, below)
    known, single = dominants(images, 0.8, 5)
    assert all(contradictions_in(each, known["Lumi"], single) == [] for each in images[:-1])
    return contradictions_in(images[-1], known["Lumi"], single, **options)


@pytest.mark.parametrize(
    ("tag", "attribute"),
    [
        ("brown hair", "hair colour"),
        ("light blue hair", "hair colour"),
        ("platinum blonde hair", "hair colour"),
        ("red eyes", "eye colour"),
        ("very long hair", "hair length"),
        ("dark skin", "skin"),
        ("blue skin", "skin"),
        ("2girls", "count"),
        ("night", "time of day"),
        ("white background", "background"),
        ("red footwear", "footwear colour"),
        ("dark blue skirt", "skirt colour"),
        ("red hair ribbon", "hair ribbon colour"),
        ("multicolored hair", None),
        ("red rose", None),
        ("green", None),
        ("blue", None),
        ("smile", None),
        ("black-framed eyewear", None),
        ("orange (fruit)", None),
    ],
)
def test_attributes_are_named_or_made_of_a_colour_and_a_thing(tag: str, attribute: str | None) -> None:
    assert attribute_of(tag) == attribute


def test_a_lone_brown_hair_in_a_blonde_characters_folder_is_found_with_its_figures() -> None:
    (found,) = odd_one({"1girl": 0.9, "brown hair": 0.41, "blue eyes": 0.9, "long hair": 0.8}, {"blonde hair": 0.22})
    assert (found.attribute, found.rival, found.dominant, found.fix) == (
        "hair colour",
        "brown hair",
        "blonde hair",
        "replace",
    )
    assert (found.score, found.dominant_score, found.share) == (0.41, 0.22, 0.9)
    assert contradiction_figures(found.to_json()) == "brown hair 0.41; blonde hair in 9 of 10 images of Lumi, here 0.22"


def test_two_values_in_one_image_are_found_and_the_dominant_one_stays() -> None:
    (found,) = odd_one({"1girl": 0.9, "brown hair": 0.8, "blonde hair": 0.5, "blue eyes": 0.9, "long hair": 0.8})
    assert (found.rival, found.dominant, found.fix) == ("brown hair", "blonde hair", "drop")
    assert contradiction_figures(found.to_json()) == "brown hair 0.80 beside blonde hair 0.50"


def test_an_image_that_lacks_what_it_should_show_is_found_and_added_only_where_the_tagger_saw_it() -> None:
    rest = {"1girl": 0.9, "blonde hair": 0.9, "long hair": 0.9}
    (found,) = odd_one(rest, {"blue eyes": 0.2})
    assert (found.attribute, found.rival, found.fix) == ("eye colour", "", "add")
    (found,) = odd_one(rest)
    assert found.fix == "look" and contradiction_figures(found.to_json()).endswith("not seen here")
    assert odd_one({**rest, "closed eyes": 0.9}) == [], "they cannot be seen"
    assert odd_one(rest, silent=frozenset({"blue eyes"})) == [], "the caption is silent about them anyway"


@pytest.mark.parametrize(
    "excuse", ["multicolored hair", "two-tone hair", "gradient hair", "streaked hair", "monochrome"]
)
def test_hair_of_several_colours_and_images_without_colours_are_exempt(excuse: str) -> None:
    found = odd_one(
        {"1girl": 0.9, excuse: 0.9, "brown hair": 0.8, "blonde hair": 0.8, "blue eyes": 0.9, "long hair": 0.9}
    )
    assert found == []


def test_eyes_of_two_colours_are_exempt_but_the_hair_is_not() -> None:
    found = odd_one({"1girl": 0.9, "heterochromia": 0.9, "red eyes": 0.8, "brown hair": 0.9, "long hair": 0.9})
    assert [each.attribute for each in found] == ["hair colour"]


def test_a_shade_and_its_colour_do_not_contradict_nor_do_sunset_and_dusk() -> None:
    assert compatible("light blue hair", "blue hair") and compatible("sunset", "dusk")
    assert not compatible("day", "night") and not compatible("light blue hair", "light brown hair")
    assert not compatible("long hair", "short hair") and compatible("very long hair", "long hair")
    assert attributes_of(["light blue hair", "blue hair", "red eyes"]) == {
        "hair colour": ["blue hair"],
        "eye colour": ["red eyes"],
    }


def test_day_and_night_in_one_image_contradict_though_neither_dominates() -> None:
    (found,) = odd_one({"1girl": 0.9, "blonde hair": 0.9, "blue eyes": 0.9, "long hair": 0.9, "day": 0.9, "night": 0.4})
    assert (found.attribute, found.rival, found.dominant, found.share, found.fix) == (
        "time of day",
        "night",
        "day",
        None,
        "drop",
    )


def test_a_garment_in_two_colours_is_odd_only_where_that_is_seldom() -> None:
    usual = [look("Lumi", {"red skirt": 0.9}, {})] * 30 + [look("Lumi", {"blue skirt": 0.9}, {})] * 30
    both = look("Lumi", {"red skirt": 0.9, "blue skirt": 0.5}, {})
    known, single = dominants([*usual, both], 0.8, 5)
    (found,) = contradictions_in(both, known.get("Lumi", {}), single)
    assert (found.attribute, found.rival, found.fix) == ("skirt colour", "blue skirt", "drop")
    known, single = dominants([*usual, *[both] * 10], 0.8, 5)
    assert contradictions_in(both, known.get("Lumi", {}), single) == []


def test_without_a_dominant_value_or_with_few_images_nothing_conflicts() -> None:
    mixed = [look("alder", {f"{colour} hair": 0.9}, {}) for colour in ("red", "blue", "green", "black", "white")] * 4
    known, single = dominants(mixed, 0.8, 5)
    assert known == {} and all(contradictions_in(each, {}, single) == [] for each in mixed)
    assert dominants(folder(count=4), 0.8, 5)[0] == {}


@given(
    st.lists(
        st.sampled_from(["brown hair", "blonde hair", "red eyes", "day", "night", "multicolored hair"]), unique=True
    )
)
def test_fixing_everything_leaves_no_contradiction(tags: list[str]) -> None:
    images = folder(dict.fromkeys(tags, 0.5))
    known, single = dominants(images, 0.8, 5)
    ledger = Ledger()
    for tag in tags:
        ledger.keep(tag, 0.5, by_score(0.5, 0.35))
    for each in contradictions_in(images[-1], known["Lumi"], single):
        fix(ledger, each)
    again = contradictions_in(look("Lumi", ledger.alive, {}), known["Lumi"], single)
    assert [each for each in again if each.fix != "look"] == []


REST = {"1girl": 0.9, "blonde hair": 0.9, "blue eyes": 0.9, "long hair": 0.9}


def with_(*tags: str, without: tuple[str, ...] = ()) -> dict[str, float]:
    """The usual image with other tags, less probable one after the other."""
    kept = {tag: score for tag, score in REST.items() if tag not in without}
    return kept | {tag: 0.8 - place / 10 for place, tag in enumerate(tags)}


@pytest.mark.parametrize(
    "tags",
    [
        ("dark skin", "tan"),
        ("very dark skin", "dark-skinned female", "tan"),
        ("blue skin", "colored skin"),
        ("white skin", "pale skin"),
        ("dark skin", "black skin", "colored skin"),
        ("night", "night sky", "starry sky", "moonlight"),
        ("dusk", "starry sky"),
        ("sunset", "twilight"),
        ("morning", "sunrise"),
        ("morning", "day"),
        ("blue theme", "green eyes", "brown hair"),
        ("partially colored", "green eyes"),
        ("multicolored skin", "blue skin", "red skin"),
    ],
)
def test_what_danbooru_says_together_is_no_contradiction(tags: tuple[str, ...]) -> None:
    assert odd_one(with_(*tags)) == []


@pytest.mark.parametrize(
    ("tags", "attribute", "rival", "stays"),
    [
        (("dark skin", "pale skin"), "skin", "pale skin", "dark skin"),
        (("pale skin", "tan"), "skin", "tan", "pale skin"),
        (("blue skin", "green skin", "colored skin"), "skin", "green skin", "blue skin"),
        (("red skin", "colored skin", "green skin"), "skin", "green skin", "red skin"),
        (("colored skin", "dark skin"), "skin", "dark skin", "colored skin"),
        (("day", "night sky"), "time of day", "night sky", "day"),
        (("starry sky", "day"), "time of day", "day", "starry sky"),
        (("moonlight", "sunset", "day"), "time of day", "day", "moonlight"),
        (("night", "morning"), "time of day", "morning", "night"),
        (("sunset", "sunrise"), "time of day", "sunrise", "sunset"),
        (("colored pubic hair", "brown hair"), "hair colour", "brown hair", "blonde hair"),
    ],
)
def test_of_two_that_cannot_both_be_true_the_less_probable_one_goes(
    tags: tuple[str, ...], attribute: str, rival: str, stays: str
) -> None:
    found = [each for each in odd_one(with_(*tags)) if each.rival == rival]
    assert [(each.attribute, each.dominant, each.fix) for each in found] == [(attribute, stays, "drop")]


@pytest.mark.parametrize(
    "tied", ["side ponytail", "single braid", "twin braids", "low twintails", "double bun", "hair bun", "half updo"]
)
def test_tied_hair_need_not_say_how_long_it_is(tied: str) -> None:
    assert odd_one(with_(tied, without=("long hair",)), {"long hair": 0.3}) == []


@pytest.mark.parametrize("face", [">_<", "^_^", "=_=", "u_u", "x_x", "@_@", "xd", "closed eyes", "solid circle eyes"])
def test_eyes_that_are_drawn_as_lines_have_no_colour_to_lack(face: str) -> None:
    assert odd_one(with_(face, without=("blue eyes",)), {"blue eyes": 0.3}) == []


def test_a_wrong_colour_of_eyes_that_are_hidden_is_for_a_person_to_look_at() -> None:
    (found,) = odd_one(with_(">_<", "black eyes", without=("blue eyes",)), {"blue eyes": 0.2})
    assert (found.rival, found.dominant, found.fix) == ("black eyes", "blue eyes", "look"), (
        "blue eyes are not to be seen"
    )


def test_images_with_closed_eyes_do_not_make_the_colour_of_the_open_ones_doubtful() -> None:
    asleep = look("Lumi", with_("closed eyes", without=("blue eyes",)), {})
    known, _ = dominants([*folder(count=6), *[asleep] * 6], 0.8, 5)
    assert (known["Lumi"]["eye colour"].images, known["Lumi"]["eye colour"].others) == (6, 6)


def test_another_time_of_day_or_background_than_most_images_have_is_no_fault() -> None:
    images = [look("Lumi", with_("day", "white background"), {}) for _ in range(9)]
    other = look("Lumi", with_("night", "blue background"), {})
    known, single = dominants([*images, other], 0.8, 5)
    assert contradictions_in(other, known["Lumi"], single) == []
    assert set(known["Lumi"]) == {"count", "hair colour", "eye colour", "hair length"}


def test_another_colour_of_clothes_may_be_another_outfit_and_is_for_a_person_to_look_at() -> None:
    usual = look("Lumi", {**REST, "red skirt": 0.9}, {})
    other = look("Lumi", {**REST, "blue skirt": 0.9}, {})
    known, single = dominants([*[usual] * 9, other], 0.8, 5)
    (found,) = contradictions_in(other, known["Lumi"], single)
    assert (found.rival, found.dominant, found.fix) == ("blue skirt", "red skirt", "look")
