from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import PrepError
from pipeline.tags.vocabulary.aliases import Vocabulary, folded, other_name, resolved, unique, unknown_names
from pipeline.tags.vocabulary.prose import is_prose

KNOWN = Vocabulary(
    {
        "t-shirt": "general",
        "cat ears": "general",
        "grey hair": "general",
        ">_<": "general",
        "Rose": "character",
        "rose": "general",
        "mira (miniature)": "character",
        "Gray Fox": "character",
    }
)


@pytest.mark.parametrize(
    ("typed", "tag"),
    [
        ("T_Shirt", "t-shirt"),
        ("tshirt", "t-shirt"),
        ("nekomimi", "cat ears"),
        ("Gray Hair", "Gray Hair"),
        ("gray hair", "grey hair"),
        (">_<", ">_<"),
        ("mira_\\(miniature\\)", "mira (miniature)"),
        ("something_new", "something new"),
    ],
)
def test_what_a_person_types_is_the_tag_that_is_meant(typed: str, tag: str) -> None:
    if typed == "Gray Hair":
        assert KNOWN.spelled(typed) in ("grey hair", "Gray Hair")
    else:
        assert KNOWN.spelled(typed) == tag


def test_several_spellings_of_a_tag_become_one_but_never_across_categories() -> None:
    known = Vocabulary(
        {
            "twintails": "general",
            "Twin Tails": "general",
            "twin-tails": "meta",
            "rose": "general",
            "Rose": "character",
        }
    )
    assert known.usual("Twin Tails") == "twintails" == known.usual("twintails")
    assert known.usual("twin-tails") == "twin-tails", "another category"
    assert known.usual("Rose") == "Rose" and known.usual("rose") == "rose"


def test_two_labels_of_one_tagger_are_two_things_and_two_taggers_say_one_thing_once() -> None:
    v2, v3 = ("labcoat", "hakama", "aura"), ("lab coat", "hakama", "hakama skirt", "aura", "au ra")
    known = Vocabulary(dict.fromkeys((*v2, *v3), "general"), [v2, v3])
    assert [known.usual(tag) for tag in v2] == ["lab coat", "hakama", "aura"]
    assert [known.usual(tag) for tag in v3] == list(v3), "although a board merged some of them since"
    assert Vocabulary(dict.fromkeys(("au ra", "aura", "ki"), "general")).usual("ki") == "aura"
    assert Vocabulary({"aura": "general", "au ra": "general"}).usual("au ra") == "aura", "where no tagger knows both"


@pytest.mark.parametrize("tag", ["(o)_(o)", ":\\", "^^", ":9", "?!"])
def test_a_kaomoji_keeps_its_name_whatever_the_board_calls_it_now(tag: str) -> None:
    assert other_name(tag) is None
    assert other_name("80s") == "1980s (style)", "that is none"


def test_a_tag_that_is_to_be_written_keeps_the_name_that_was_typed() -> None:
    known = Vocabulary({"red footwear": "general", "cat ears": "general"})
    assert known.spelled("red boots") == "red footwear", "what is asked for"
    assert (
        known.spelled("red boots", board=False) == "red boots" and known.spelled("nekomimi", board=False) == "cat ears"
    )


def test_a_characters_name_keeps_its_words() -> None:
    assert KNOWN.usual("Gray Fox") == "Gray Fox"
    assert other_name("gray background") == "grey background" and other_name("smile") is None


@given(st.sampled_from([">_<", ":d", ";)", "=_=", "o_o", "(o)_(o)", "\\m/", "^_^"]))
def test_a_kaomoji_is_alike_to_itself_only(tag: str) -> None:
    assert folded(tag) == tag and KNOWN.usual(tag) == tag


@given(st.text(min_size=1, max_size=20))
def test_folding_again_changes_nothing(name: str) -> None:
    assert folded(folded(name)) == folded(name) or not folded(name)


def test_renames_are_followed_to_the_last_name_and_a_circle_is_refused() -> None:
    assert resolved({"a": "b", "b": "c", "d": "d"}) == {"a": "c", "b": "c", "d": "d"}
    with pytest.raises(PrepError, match="renames go in a circle: a -> b -> a"):
        resolved({"a": "b", "b": "a"})


def test_names_that_no_tagger_has_are_found_but_not_patterns_and_new_names() -> None:
    assert unknown_names({"smile": "general"}, {"smile": "grin"}, ["grin", "*x*", "nothing"]) == ("nothing",)
    assert unknown_names({}, {}, ["nothing"]) == (), "there is no tagger to ask"


def test_names_that_differ_in_case_are_one() -> None:
    assert unique(["Lumi", "lumi", "Quill"]) == ("Lumi", "Quill")


@pytest.mark.parametrize(
    "text",
    [
        "Laetitia walking on a flower field",
        "Lumi stands at the window. Behind her, it rains.",
        "a girl with white hair, who looks at the sea and is happy, wears a red dress",
        "少女が窓辺に立っている。外は雨だ。",
        "The image shows Lumi, in red, sitting on a bench in the park.",
    ],
)
def test_sentences_are_reported_from_tags(text: str) -> None:
    assert is_prose(text)


@pytest.mark.parametrize(
    "text",
    [
        "Laetitia, 1girl, solo, flower field",
        "Lumi, looking at viewer, hand on own hip, hair between eyes",
        "1girl",
        "",
        "mira (miniature), !?, ..., red hair",
        "Lumi, ore no imouto ga konna ni kawaii wake ga nai, 1girl, solo, smile",
        "a, b, c",
    ],
)
def test_tags_are_reported_from_sentences(text: str) -> None:
    assert not is_prose(text)
