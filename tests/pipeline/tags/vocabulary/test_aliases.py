from __future__ import annotations

import pytest
from decided import reported

from pipeline.store.reasons.tags import TagCause, TagReason
from pipeline.tags.captions.ledger import Ledger
from pipeline.tags.captions.order import ordered, within_limit
from pipeline.tags.captions.selection import by_score
from pipeline.tags.captions.triggers import sharing_words, subjects
from pipeline.tags.vocabulary.aliases import canonical, split_caption, sub_words
from pipeline.tags.vocabulary.person_count import people
from pipeline.tags.vocabulary.quality_tags import quality_flag


@pytest.mark.parametrize(
    ("typed", "tag"),
    [
        ("long_hair", "long hair"),
        ("  Long  hair ", "Long hair"),
        (">_<", ">_<"),
        ("(o)_(o)", "(o)_(o)"),
        ("mira_\\(miniature\\)", "mira (miniature)"),
        ("\\m/", "\\m/"),
        ("o_o", "o_o"),
    ],
)
def test_a_tag_has_one_spelling_and_kaomoji_keep_theirs(typed: str, tag: str) -> None:
    assert canonical(typed) == tag == canonical(tag)


def test_a_caption_is_split_at_commas_and_line_breaks() -> None:
    assert split_caption("Lumi, 1girl,\n>_<, ,") == ("Lumi", "1girl", ">_<")


def test_trigger_words_that_share_a_part_are_found() -> None:
    assert sub_words("OyamaMahiro") == {"oyama", "mahiro"} == sub_words("oyama mahiro")
    assert sharing_words(["OyamaMahiro", "oyama mihari", "Lumi"]) == (("OyamaMahiro", "oyama mihari", "oyama"),)
    assert sharing_words(["Lumi", "Lumina"]) == ()


def test_trigger_words_come_from_the_last_folder_in_its_order() -> None:
    concept = "characters/fanart/Euphyllia+Anisphia"
    assert subjects(concept, {}, True) == (("Euphyllia",), ("Anisphia",))
    assert subjects(concept, {"Anisphia": "anis, princess"}, True) == (("Euphyllia",), ("anis", "princess"))
    assert subjects(concept, {concept: "both"}, True) == (("both",),)
    assert subjects(concept, {"Anisphia": ""}, True) == (("Euphyllia",),)
    assert subjects(concept, {"Anisphia": "anis"}, False) == (("anis",),)
    assert subjects("a/one, two", {}, True) == (("one two",),), "a comma would make two tags of it"


@pytest.mark.parametrize(
    ("tags", "count"),
    [
        ({"1girl": 0.9, "solo": 0.9}, 1),
        ({"1girl": 0.6, "1boy": 0.6}, 2),
        ({"2girls": 0.9, "1girl": 0.5}, 2),
        ({"1girl": 0.9, "2girls": 0.5}, 1),
        ({"multiple girls": 0.9}, 2),
        ({"6+girls": 0.9}, 6),
        ({"solo": 0.9}, 1),
        ({"no humans": 0.9}, 0),
        ({"smile": 0.9}, None),
    ],
)
def test_persons_are_counted_by_the_most_probable_tag_of_each_kind(tags: dict[str, float], count: int | None) -> None:
    assert people(tags) == count


@pytest.mark.parametrize(
    ("tag", "flag"),
    [
        ("watermark", "watermark"),
        ("twitter username", "signature"),
        ("signature", "signature"),
        ("english text", "text"),
        ("mosaic censoring", "censored"),
        ("white border", "border"),
        ("jpeg artifacts", "poor file"),
        ("thought bubble", "text"),
        ("blank speech bubble", "text"),
        ("spoken heart", "text"),
        ("spoken question mark", "text"),
        ("sound effects", "text"),
        ("cover page", "text"),
        ("doujin cover", "text"),
        ("page number", "text"),
        ("group name", "text"),
        ("timestamp", "signature"),
        ("company name", "signature"),
        ("circle name", "signature"),
        ("novelty censor", "censored"),
        ("identity censor", "censored"),
        ("convenient censoring", None),
        ("hair censor", None),
        ("steam censor", None),
        ("soap bubbles", None),
        ("chaldea logo", None),
        ("nude cover", None),
        ("name tag", None),
        ("holding letter", None),
        ("uncensored", None),
        ("context", None),
        ("clothes writing", None),
        ("border collie", None),
        ("smile", None),
    ],
)
def test_tags_about_the_file_are_reported_from_tags_about_the_image(tag: str, flag: str | None) -> None:
    assert quality_flag(tag) == flag


def test_the_order_is_trigger_counts_character_added_general_rating_each_by_score() -> None:
    tags = {
        "smile": 0.9,
        "1girl": 0.8,
        "solo": 0.5,
        "mira": 0.6,
        "angry": 0.9,
        "anime screenshot": 1.0,
        "beach": 0.95,
        "rating:general": 1.0,
    }
    categories = {"mira": "character", "anime screenshot": "added", "rating:general": "rating"}
    order = ordered(tags, categories, ("Quill", "Lumi"))
    assert order == (
        "Quill",
        "Lumi",
        "1girl",
        "solo",
        "mira",
        "anime screenshot",
        "beach",
        "angry",
        "smile",
        "rating:general",
    )
    assert ordered(dict(reversed(tags.items())), categories, ("Quill", "Lumi")) == order
    assert within_limit(order, ("Quill", "Lumi"), 3) == ("Quill", "Lumi", "1girl", "solo", "mira")
    assert within_limit(order, (), 0) == order


def test_rows_tell_what_became_of_every_tag_those_of_the_caption_first() -> None:
    ledger = Ledger()
    for tag, score in (("boots", 0.9), ("red footwear", 0.8), ("hat", 0.8)):
        ledger.keep(tag, score, by_score(score, 0.35))
    ledger.consider([("cat", 0.2, False, by_score(0.2, 0.35))])
    ledger.drop("hat", TagCause(TagReason.IMPLIED, {"by": "beret"}))
    for part in ("boots", "red footwear"):
        ledger.rename(part, "red boots", TagCause(TagReason.JOINED, {"parts": ["boots", "red footwear"]}))
    ledger.add("Lumi", 1.0, TagCause(TagReason.TRIGGER))
    assert reported(ledger.decisions(("Lumi", "red boots"))) == [
        ("Lumi", "added", "trigger word"),
        ("red boots", "added", "from boots: boots + red footwear"),
        ("boots", "renamed", "to red boots: boots + red footwear"),
        ("red footwear", "renamed", "to red boots: boots + red footwear"),
        ("cat", "dropped", "below its threshold: 0.20 < 0.35"),
        ("hat", "dropped", "implied by beret"),
    ]
    assert ledger.alive == {"red boots": 0.9, "Lumi": 1.0}
