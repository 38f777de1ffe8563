"""Every family's captions are as its own documentation has them."""

from __future__ import annotations

import pytest

from pipeline.core.errors import PrepError
from pipeline.tags.captions.order import ordered
from pipeline.tags.formats.choice import CaptionFormat
from pipeline.tags.formats.families import FAMILIES
from pipeline.tags.formats.family import GROUPS
from pipeline.tags.formats.options import FormatOptions
from pipeline.tags.formats.phrases import phrase_of
from pipeline.tags.formats.prompts import default_prompt

CATEGORIES = {
    "arima kana": "character",
    "oshi no ko": "copyright",
    "hatsune miku": "character",
    "firefly (honkai: star rail)": "character",
    "honkai: star rail": "copyright",
    "ask": "artist",
}


def arranged(name: str, tags: list[str], rating: str = "", quality: str = "", year: int = 0) -> str:
    """A caption without trigger words; the tags are given in the order of their scores."""
    asked = {"quality": {"*": quality} if quality else {}, "year": {"*": year} if year else {}}
    form = CaptionFormat(FormatOptions(format=name, **asked))  # type: ignore[arg-type]
    beside = form.beside("characters/any", ())
    held = {tag: 0.9 - place / 100 for place, tag in enumerate(tags)} | dict.fromkeys(beside, 1.0)
    categories = CATEGORIES | ({f"rating:{rating}": "rating"} if rating else {})
    held |= {f"rating:{rating}": 0.8} if rating else {}
    order = ordered(held, categories, (), None, form.order, beside)
    words = [(tag,) if tag in beside else form.written(tag, categories.get(tag, "general")) for tag in order]
    texts = [word for each in words for word in each]
    return ", ".join(texts)


@pytest.mark.parametrize(
    ("name", "tags", "more", "documented"),
    [
        (
            "animagine",  # model card of XL 4.0, without the tags of a second character and of a costume
            ["1girl", "arima kana", "oshi no ko", "cosplay", "looking at viewer", "smile", "outdoors", "night", "v"],
            {"quality": "masterpiece, high score, great score, absurdres"},
            "1girl, arima kana, oshi no ko, cosplay, looking at viewer, smile, outdoors, night, v, "
            "masterpiece, high score, great score, absurdres",
        ),
        (
            "animagine",  # the same card: the rating behind the series, `solo` among the rest
            ["1girl", "solo", "casual", "firefly (honkai: star rail)", "honkai: star rail"],
            {"rating": "general", "quality": "masterpiece, high score, great score, absurdres"},
            "1girl, firefly (honkai: star rail), honkai: star rail, safe, solo, casual, "
            "masterpiece, high score, great score, absurdres",
        ),
        (
            "pony",  # the page of V6: score words, rating, then what is seen
            ["blue hair", "1boy", "looking at viewer"],
            {"rating": "general", "quality": ", ".join(FAMILIES["pony"].quality)},
            "score_9, score_8_up, score_7_up, score_6_up, score_5_up, score_4_up, rating_safe, 1boy, blue hair, "
            "looking at viewer",
        ),
        (
            "noobai",  # model card: people, character, series, artists, special tags, general tags
            ["1girl", "solo", "black hair", "ask", "hatsune miku"],
            {"rating": "general", "quality": "masterpiece, best quality", "year": 2023},
            "1girl, hatsune miku, ask, masterpiece, best quality, newest, year 2023, safe, solo, black hair",
        ),
        (
            "illustrious",  # arXiv 2409.19946: people, character, rating, general, artist, score word, year word
            ["1girl", "angel", "ask", "hatsune miku"],
            {"rating": "sensitive", "quality": "masterpiece", "year": 2020},
            "1girl, hatsune miku, sensitive, angel, ask, masterpiece, modern",
        ),
        (
            "booru",
            ["solo", "1girl", "smile", "ask", "hatsune miku"],
            {"rating": "explicit"},
            "1girl, solo, hatsune miku, ask, smile, rating:explicit",
        ),
        ("prose", ["2girls", "upper body", "from behind"], {}, "two girls, shown from the waist up, seen from behind"),
    ],
)
def test_a_caption_is_as_its_family_documents_it(name, tags, more, documented) -> None:
    assert arranged(name, tags, **more) == documented


@pytest.mark.parametrize(
    ("name", "year", "words"),
    [
        ("noobai", 2010, ("old", "year 2010")),
        ("noobai", 2014, ("early", "year 2014")),
        ("noobai", 2017, ("mid", "year 2017")),
        ("noobai", 2018, ("recent", "year 2018")),
        ("illustrious", 2017, ("oldest",)),
        ("illustrious", 2019, ("old",)),
        ("illustrious", 2022, ("recent",)),
        ("illustrious", 2026, ("newest",)),
        ("animagine", 2005, ("year 2005",)),
        ("pony", 2020, ()),
    ],
)
def test_a_year_is_said_as_the_family_says_it(name, year, words) -> None:
    assert FAMILIES[name].year_words(year) == words


def test_old_and_recent_do_not_mean_the_same_years_to_two_families() -> None:
    assert "recent" in FAMILIES["noobai"].year_words(2019) and "old" in FAMILIES["illustrious"].year_words(2019)


def test_every_family_orders_groups_that_there_are_each_once() -> None:
    for family in FAMILIES.values():
        assert set(family.order) <= set(GROUPS) and len(set(family.order)) == len(family.order)
        assert family.source
        order = CaptionFormat(FormatOptions(format="booru")).order if family.name == "custom" else None
        order = order or CaptionFormat(FormatOptions(format=family.name)).order  # type: ignore[arg-type]
        assert sorted(order) == sorted(GROUPS)


def test_ratings_in_two_words_stand_in_both() -> None:
    assert CaptionFormat(FormatOptions(format="noobai")).written("rating:explicit", "rating") == ("nsfw", "explicit")


def test_a_rating_of_another_board_is_not_lost() -> None:
    for name in ("booru", "noobai", "pony"):
        form = CaptionFormat(FormatOptions(format=name, spelling="underscores"))  # type: ignore[arg-type]
        assert form.written("rating:unknown to it", "rating") == ("rating:unknown to it",)


def test_spelling_and_prefix_change_what_they_name() -> None:
    form = CaptionFormat(FormatOptions(spelling="underscores", artist_prefix="by "))
    assert form.written("long hair", "general") == ("long_hair",)
    assert form.written("ask", "artist") == ("by_ask",)
    assert form.written("o_o", "general") == ("o_o",)
    assert CaptionFormat(FormatOptions(artist_prefix="artist:")).written("ask", "artist") == ("artist:ask",)


def test_words_are_found_by_name_then_by_pattern_then_for_all_others() -> None:
    asked = FormatOptions(
        format="noobai", quality={"*": "good quality", "fanart/*": "best quality", "art/fanart/Lumi": "masterpiece"}
    )
    form = CaptionFormat(asked)
    assert [*form.beside("art/fanart/Lumi", ())] == ["masterpiece"]
    assert [*form.beside("art/fanart/Quill", ())] == ["best quality"]
    assert [*form.beside("sketches", ())] == ["good quality"]


def test_a_poor_file_has_the_word_of_the_worst_alone() -> None:
    form = CaptionFormat(FormatOptions(format="illustrious", poor="mark", quality={"*": "masterpiece"}))
    assert form.beside("any", ("poor file",)) == {"worst quality": "quality"}
    assert form.beside("any", ("watermark",)) == {"masterpiece": "quality"}


def test_quality_words_that_the_family_does_not_document_are_named() -> None:
    form = CaptionFormat(FormatOptions(format="illustrious", quality={"*": "masterpiece, great quality"}))
    assert form.foreign() == ["great quality"]
    assert CaptionFormat(FormatOptions(quality={"*": "great quality"})).foreign() == [], "boards document none"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"format_order": ("count",)}, "format_order does nothing in the format booru"),
        ({"format": "custom"}, "the format custom has no order"),
        ({"format": "custom", "format_order": ("counts",)}, "'counts' is no group of tags"),
        ({"format": "custom", "format_order": ("count", "count")}, "names count twice"),
        ({"format": "pony", "poor": "mark"}, "no word for poor images"),
        ({"format": "pony", "year": {"*": 2020}}, "no word for the year 2020"),
        ({"format": "noobai", "year": {"*": 20}}, "year: \\* = 20"),
        ({"quality": {"*": " "}}, "quality: \\* = ' '"),
        ({"suffix": ("a\nb",)}, "suffix = "),
        ({"artist_prefix": "by, "}, "artist_prefix"),
    ],
)
def test_what_cannot_be_or_does_nothing_is_refused(given, said) -> None:
    with pytest.raises(PrepError, match=said) as caught:
        FormatOptions(**given)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("1girl", "one girl"),
        ("6+girls", "six or more girls"),
        ("1other", "one person"),
        ("12boys", "12 boys"),
        ("solo", "alone"),
        ("long hair", "long hair"),
    ],
)
def test_tags_in_plain_words(tag, words) -> None:
    assert phrase_of(tag) == words


@pytest.mark.parametrize(
    ("name", "prompt"),
    [
        ("booru", "1girl, mihari \\(series\\)"),
        ("animagine", "1girl, mihari \\(series\\), masterpiece, high score, great score, absurdres"),
        ("illustrious", "1girl, mihari \\(series\\), masterpiece, general"),
        ("noobai", "masterpiece, best quality, newest, absurdres, highres, safe, 1girl, mihari \\(series\\)"),
        ("prose", "one girl, mihari \\(series\\)"),
        ("no such format", "1girl, mihari \\(series\\)"),
    ],
)
def test_a_prompt_that_nobody_gave_has_the_words_of_the_card(name, prompt) -> None:
    assert default_prompt("mihari (series)", name) == prompt
