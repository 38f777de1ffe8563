from __future__ import annotations

import math
from itertools import islice, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.store.reasons.tags import core_figures
from pipeline.store.wording import phrase
from pipeline.tags.captions.selection import TaggerVote, best_rating, choose, gap_threshold
from pipeline.tags.captions.thresholds import Limits
from pipeline.tags.danbooru import tables
from pipeline.tags.statistics.core_tags import ImageTags, core_tags
from pipeline.tags.vocabulary.composition import compose_garments, compose_hair
from pipeline.tags.vocabulary.head_nouns import is_kind_of
from pipeline.tags.vocabulary.implications import danbooru, implies


@pytest.mark.parametrize(
    ("child", "parent"),
    [
        ("school uniform", "uniform"),
        ("witch hat", "hat"),
        ("blunt bangs", "bangs"),
        ("side ponytail", "ponytail"),
        ("light brown hair", "brown hair"),
        ("very long hair", "long hair"),
        ("red dress", "dress"),
        ("wedding dress", "dress"),
        ("elbow gloves", "gloves"),
        ("blue sky", "sky"),
        ("evil smile", "smile"),
        ("hair bow", "bow"),
        ("beret", "hat"),
        ("cat ears", "animal ears"),
        ("2girls", "multiple girls"),
        ("forest", "outdoors"),
        ("white background", "simple background"),
        ("bikini", "swimsuit"),
        ("earrings", "jewelry"),
        ("hat ribbon", "hat"),
        ("fake tail", "tail"),
        ("holding sword", "sword"),
        ("unworn hat", "hat"),
    ],
)
def test_a_kind_makes_its_generic_needless(child: str, parent: str) -> None:
    assert implies(child, parent)
    assert not implies(parent, child)


@pytest.mark.parametrize(
    ("longer", "shorter"),
    [
        ("braid", "bra"),
        ("twintails", "tail"),
        ("ponytail", "tail"),
        ("glasses", "ass"),
        ("multicolored hair", "red hair"),
        ("collarbone", "collar"),
        ("elbow gloves", "bow"),
        ("gloves", "v"),
        ("earrings", "ring"),
        ("open mouth", "pen"),
        ("cat ears", "cat"),
        ("maid headdress", "maid"),
        ("on back", "back"),
        ("looking back", "back"),
        ("on bed", "bed"),
        ("between legs", "legs"),
        ("hand in pocket", "pocket"),
        ("no shoes", "shoes"),
        ("hand on own hip", "hip"),
        ("blush stickers", "blush"),
        ("solo focus", "solo"),
        ("teddy bear", "bear"),
        ("background", "back"),
        ("red hair", "hair red"),
        ("long hair", "short hair"),
        ("bow (weapon)", "bow"),
    ],
)
def test_a_name_inside_a_name_is_no_kind_of_it(longer: str, shorter: str) -> None:
    assert not implies(longer, shorter)
    assert danbooru().needless([longer, shorter], one_person=True) == {}


def test_no_table_has_a_circle() -> None:
    known = danbooru()
    assert [tag for tag in tables.tags() if any(tag in known.above(parent) for parent in known.above(tag))] == []


def test_with_two_persons_only_what_speaks_of_the_whole_image_goes() -> None:
    tags = ["hat", "witch hat", "dress", "red dress", "multiple girls", "2girls", "outdoors", "beach"]
    assert danbooru().needless(tags, one_person=False) == {"multiple girls": "2girls", "outdoors": "beach"}
    assert danbooru().needless(tags, one_person=True) == {
        "multiple girls": "2girls",
        "outdoors": "beach",
        "hat": "witch hat",
        "dress": "red dress",
    }


def test_what_is_needless_does_not_depend_on_the_order_of_tags() -> None:
    tags = ["weapon", "sword", "katana", "smile"]
    found = {tuple(danbooru().needless(order, True).items()) for order in permutations(tags)}
    assert found == {(("sword", "katana"), ("weapon", "katana"))}


EVERY_TWENTIETH = [*islice(sorted(tables.implications().items()), 0, None, 20)]
IMPLYING = sorted({"beach", "outdoors", *(tag for child, parents in EVERY_TWENTIETH for tag in (child, *parents))})


@given(
    st.lists(
        st.sampled_from(
            sorted(
                {
                    *islice(sorted(tables.implications()), 0, None, 20),
                    "beret",
                    "hat",
                    "red dress",
                    "dress",
                    "beach",
                    "outdoors",
                }
            )
        ),
        unique=True,
    )
)
def test_every_needless_tag_leads_to_one_that_stays(tags: list[str]) -> None:
    gone = danbooru().needless(tags, one_person=True)
    for tag in gone:
        while tag in gone:
            tag = gone[tag]
        assert tag in tags


@pytest.mark.parametrize(
    ("tags", "result"),
    [
        (["boots", "red footwear"], [("red boots", ("boots", "red footwear"))]),
        (["beret", "blue headwear", "smile"], [("blue beret", ("beret", "blue headwear"))]),
        (["lace-up boots", "black footwear"], [("black lace-up boots", ("lace-up boots", "black footwear"))]),
        (["boots", "shoes", "red footwear"], []),
        (["boots", "red footwear", "black footwear"], []),
        (["red footwear"], []),
        (["boots"], []),
        (["red shoes", "red footwear"], []),
        (["twintails", "red eyewear"], []),
        (["hairband", "blue headwear"], []),
        (["hoodie", "blue headwear"], []),
        (["collared shirt", "white shirt"], [("white collared shirt", ("collared shirt", "white shirt"))]),
        (["kneehighs", "white socks"], [("white kneehighs", ("kneehighs", "white socks"))]),
        (["hair ribbon", "red ribbon"], [("red hair ribbon", ("hair ribbon", "red ribbon"))]),
        (["sailor collar", "red collar"], []),
        (["garter belt", "black belt"], []),
        (["pubic hair", "black hair"], []),
    ],
)
def test_a_colour_joins_the_one_thing_it_can_belong_to(tags: list[str], result: list[object]) -> None:
    assert [each[:2] for each in compose_garments(tags, unseen=True)] == result


def test_hair_is_joined_where_colour_and_length_are_one() -> None:
    found = compose_hair(["white hair", "long hair", "smile"])
    assert found is not None and found.tag == "long white hair"
    assert compose_hair(["white hair", "red hair", "long hair"]) is None
    assert compose_hair(["white hair"]) is None


def test_each_category_has_its_threshold_and_what_is_above_the_floor_is_listed() -> None:
    scores = {"smile": 0.3, "mira": 0.6, "angry": 0.12, "beach": 0.05, "general": 0.9, "odd": 0.27}
    categories = {"smile": "general", "mira": "character", "angry": "general", "beach": "general", "general": "rating"}
    vote = TaggerVote("a", categories, Limits({"general": 0.2653, "character": 0.85}, {}, {}))
    found = choose(scores, vote, floor=0.1)
    assert [(each.tag, each.chosen, phrase(each.cause)) for each in found] == [
        ("smile", True, "0.30 ≥ 0.27"),
        ("mira", False, "below its threshold: 0.60 < 0.85"),
        ("angry", False, "below its threshold: 0.12 < 0.27"),
        ("odd", True, "0.27 ≥ 0.27"),
    ]
    assert best_rating(scores, categories) == ("general", 0.9)
    assert best_rating({"smile": 1.0}, categories) is None


def test_the_largest_gap_is_cut_in_its_middle_but_never_above_a_half_nor_below_015() -> None:
    assert gap_threshold([0.9, 0.8, 0.3, 0.25]) == 0.5, "the middle, 0.55, is above what a dominant tag may cut"
    assert gap_threshold([0.7, 0.6, 0.2, 0.1]) == pytest.approx(0.4)
    assert gap_threshold([0.14, 0.02]) == 0.15
    assert gap_threshold([0.9]) == gap_threshold([]) == 0.5


def images(trigger: str, count: int, *tags: str, one_person: bool = True) -> list[ImageTags]:
    return [ImageTags((trigger,), frozenset(tags), one_person)] * count


def test_a_core_tag_is_frequent_here_and_rarer_elsewhere() -> None:
    known = [
        *images("Lumi", 9, "white hair", "red eyes", "smile"),
        *images("Lumi", 1, "red eyes"),
        *images("Quill", 5, "red eyes", "blue hair"),
        *images("Oriel", 5, "red hair"),
    ]
    cores = core_tags(known, share=0.75, lift=1.3, at_least=5)
    assert set(cores["Lumi"]) == {"white hair", "red eyes"}, "a smile is no trait"
    core = cores["Lumi"]["red eyes"]
    assert (core.share, core.lift, core_figures(core.data)) == (1.0, 2.0, "in 10 of 10 images, 5 of 10 others")
    assert math.isinf(cores["Lumi"]["white hair"].lift)
    assert set(cores["Quill"]) == {"blue hair", "red eyes"}, "5 of 5 against 10 of 15 is 1.5 times"
    assert "red eyes" not in core_tags(known, 0.75, 1.6, 5)["Quill"]


def test_a_trait_that_everybody_has_is_nobodys_core() -> None:
    known = [*images("Lumi", 6, "white hair"), *images("Quill", 6, "white hair")]
    assert core_tags(known, 0.75, 1.3, 5) == {"Lumi": {}, "Quill": {}}


def test_few_images_and_images_with_others_tell_nothing() -> None:
    known = [
        *images("Lumi", 4, "white hair"),
        *images("Lumi", 9, "white hair", one_person=False),
        *images("Quill", 9, "blue hair"),
    ]
    assert set(core_tags(known, 0.75, 1.3, 5)) == {"Quill"}
    assert set(core_tags(known, 0.75, 1.3, 4)) == {"Lumi", "Quill"}


def test_is_kind_of_takes_singular_for_plural_but_not_a_shorter_word() -> None:
    assert is_kind_of("side braid", "braids")
    assert not is_kind_of("side bra", "bras s")
    assert not is_kind_of("hair", "hair")
