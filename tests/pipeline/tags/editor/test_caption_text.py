"""A person's caption is edited without touching its other words, and slips of the fingers are distinguished from other words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.caption_text import read_caption_text
from pipeline.tags.editor.caption_text import edited
from pipeline.tags.editor.spelling import alike, distance, misspelt
from pipeline.tags.vocabulary.aliases import split_caption

WORDS = st.sampled_from(["smile", " smile", "Smile ", "hat", " long_hair ", " a walk at night", "<o>_<o>", "  x"])
TEXTS = st.builds(
    lambda start, words, breaks, end: start + "".join(map("".join, zip(words, [*breaks, ""], strict=False))) + end,
    st.sampled_from(["", "\ufeff"]),
    st.lists(WORDS, min_size=1, max_size=6),
    st.lists(st.sampled_from([",", "\n", "\r\n"]), min_size=5, max_size=5),
    st.sampled_from(["", "\n", "\r\n"]),
)


@pytest.mark.parametrize(
    ("text", "edit", "expected"),
    [
        ("a, b, c\n", ("remove", "b"), "a, c\n"),
        ("a, b, c\n", ("remove", "a"), "b, c\n"),
        ("a, b, c\n", ("remove", "c"), "a, b\n"),
        ("a\nb, c\n", ("remove", "b"), "a\nc\n"),
        ("\ufeffA ,b\r\n", ("remove", "a"), "\ufeffb\r\n"),
        ("a\n", ("remove", "a"), "\n"),
        ("a,b", ("add", "c"), "a,b,c"),
        ("a\r\nb\r\n", ("add", "c"), "a\r\nb\r\nc\r\n"),
        ("a", ("add", "c"), "a, c"),
        ("x,\n", ("add", "c"), "x, c\n"),
        ("\n", ("add", "c"), "c\n"),
        ("a, b, a, c", ("replace", "a", "d"), "d, b, c"),
        ("a, b", ("replace", "a", "b"), "b"),
        (" a , b", ("replace", "a", "z"), " z , b"),
        ("a, b\nc, d\n", ("add", "e"), "a, b, e\nc, d, e\n"),
        ("a, b\nb, d", ("remove", "b"), "a\nd"),
        ("Lumi ||| 1girl, hat", ("remove", "1girl"), "Lumi ||| hat"),
        ("Lumi ||| 1girl", ("remove", "1girl"), "Lumi |||"),
        ("Lumi ||| 1girl", ("add", "hat"), "Lumi ||| 1girl, hat"),
        ("a，b、c", ("remove", "b"), "a、c"),
        ("(red hair:1.2), hat", ("remove", "red hair"), "hat"),
        ("mihari \\(x\\), hat", ("replace", "mihari (x)", "mihari"), "mihari, hat"),
        ("1girl, hat\nNegative prompt: bad", ("add", "smile"), "1girl, hat, smile\nNegative prompt: bad"),
        ("She has a hat, boots, and a cat.", ("remove", "boots"), "She has a hat, and a cat."),
    ],
)
def test_a_text_is_edited_at_its_commas_and_line_ends(text: str, edit: tuple[str, ...], expected: str) -> None:
    assert edited(text, [edit]) == expected


@given(TEXTS, st.sampled_from(["smile", "long hair", "<o>_<o>"]))
def test_what_is_not_removed_stays_as_it_was(text: str, tag: str) -> None:
    left = edited(text, [("remove", tag)])
    parts = split_caption(text.removeprefix("\ufeff"))
    assert split_caption(left.removeprefix("\ufeff")) == tuple(part for part in parts if alike(part) != alike(tag))
    assert left.startswith("\ufeff") == text.startswith("\ufeff")


@given(TEXTS, st.sampled_from(["smile", "boots", "long hair"]))
def test_what_is_added_comes_last_and_once(text: str, tag: str) -> None:
    more = edited(text, [("add", tag)])
    captions = read_caption_text(more).text.split("\n")
    assert all(sum(alike(part) == alike(tag) for part in split_caption(each)) >= 1 for each in captions)
    assert edited(more, [("add", tag)]) == more
    if more != text and "\n" not in read_caption_text(text).text:
        assert more.startswith(text.rstrip()) and more.endswith(text[len(text.rstrip()) :])


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("smile", "smile", 0), ("smile", "smlie", 1), ("smile", "smie", 1), ("kitten", "sitting", 3), ("", "hat", 3)],
)
def test_the_distance_of_two_words_is_that_worked_by_hand(one: str, other: str, expected: int) -> None:
    assert distance(one, other) == distance(other, one) == expected


def test_misspelt_words_are_reported_from_others() -> None:
    found = list(
        misspelt(["Euphylia", "Long_Hair", "hatt", "cat", "a red balloon"], ["Euphyllia"], ["long hair", "hat"])
    )
    assert [(each.tag, each.meant, each.why) for each in found] == [
        ("Euphylia", "Euphyllia", "nearly a trigger word"),
        ("Long_Hair", "long hair", "written another way"),
    ], "hat has too few letters for hatt or cat to be a slip"
