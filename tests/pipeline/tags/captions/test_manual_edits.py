"""A person's edits hold, say so in a row each, and cancel out where one takes back another."""

from __future__ import annotations

import pytest
from decided import reported, scored, trigger
from hypothesis import given as drawn
from hypothesis import strategies as st

from pipeline.store.reasons.captions import edits_in_words
from pipeline.store.reasons.tags import TagReason
from pipeline.store.values.tags import TagAction, TagDecision
from pipeline.tags.captions.manual_edits import amended, apply, given, with_manual_edits

TAGS = st.sampled_from(["smile", "hat", "boots", "red boots", "<o>_<o>", "Lumi"])
EDITS = st.one_of(
    st.tuples(st.just("add"), TAGS),
    st.tuples(st.just("remove"), TAGS),
    st.tuples(st.just("replace"), TAGS, TAGS).filter(lambda edit: edit[1] != edit[2]),
)
CAPTIONS = st.lists(TAGS, unique=True)


def test_each_edit_changes_the_tags_and_leaves_a_row() -> None:
    manual_edits = [["add", "grin"], ["remove", "hat"], ["replace", "boots", "red boots"]]
    tags, rows = apply(["Lumi", "boots", "hat", "smile"], ("Lumi",), manual_edits)
    assert tags == ["Lumi", "red boots", "smile", "grin"]
    assert reported(rows) == [
        ("red boots", "added", "from boots: replaced by you"),
        ("grin", "added", "added by you"),
        ("boots", "renamed", "to red boots: replaced by you"),
        ("hat", "dropped", "removed by you"),
    ]


def test_an_edit_that_is_so_already_leaves_no_row() -> None:
    assert apply(["smile"], (), [["add", "smile"], ["remove", "hat"], ["replace", "boots", "hat"]]) == (["smile"], [])


def test_a_tag_replaced_by_one_that_is_there_already_goes() -> None:
    tags, rows = apply(["boots", "red boots"], (), [["replace", "boots", "red boots"]])
    assert tags == ["red boots"] and reported(rows) == [("boots", "renamed", "to red boots: replaced by you")]


def test_a_tag_replaced_by_one_that_was_removed_is_reported_as_removed() -> None:
    tags, rows = apply(["boots", "hat"], (), [["replace", "boots", "shoes"], ["remove", "shoes"]])
    assert (tags, reported(rows)) == (["hat"], [("boots", "dropped", "removed by you")])
    tags, rows = apply(["boots"], (), [["replace", "boots", "shoes"], ["replace", "shoes", "geta"]])
    assert reported(rows) == [
        ("geta", "added", "from boots: replaced by you"),
        ("boots", "renamed", "to geta: replaced by you"),
    ]


def test_trigger_words_stay_whatever_the_edits_say() -> None:
    manual_edits = [["remove", "Lumi"], ["replace", "Lumi", "Quill"], ["add", "lumi"], ["replace", "smile", "LUMI"]]
    tags, rows = apply(["Lumi", "smile"], ("Lumi",), manual_edits)
    assert tags == ["Lumi"] and reported(rows) == [("smile", "dropped", "removed by you")]


def test_rows_of_the_whole_caption_stay_one_for_each_tag_in_its_order() -> None:
    rows = (
        trigger("Lumi"),
        scored("smile"),
        scored("hat"),
        TagDecision("cat", TagAction.DROPPED, TagReason.BELOW_THRESHOLD, {"score": 0.2, "threshold": 0.35}),
    )
    order, found = with_manual_edits(("Lumi", "smile", "hat"), rows, ("Lumi",), [("remove", "smile"), ("add", "cat")])
    assert order == ("Lumi", "hat", "cat")
    assert reported(found) == [
        ("Lumi", "added", "trigger word"),
        ("hat", "kept", "0.90 ≥ 0.35"),
        ("cat", "added", "added by you"),
        ("smile", "dropped", "removed by you"),
    ]
    assert given(found) == ["Lumi", "hat", "smile"], "what curation itself gave"


@pytest.mark.parametrize(
    ("manual_edits", "edit", "tags", "expected"),
    [
        ([("remove", "hat")], ("add", "hat"), ["hat"], []),
        ([("remove", "hat")], ("add", "hat"), ["smile"], [("add", "hat")]),
        ([("add", "hat")], ("remove", "hat"), ["smile"], []),
        ([("add", "hat")], ("remove", "hat"), ["hat"], [("remove", "hat")]),
        ([("replace", "boots", "shoes")], ("replace", "shoes", "boots"), ["boots"], []),
        ([("replace", "boots", "shoes")], ("replace", "shoes", "geta"), ["boots"], [("replace", "boots", "geta")]),
        ([("replace", "boots", "shoes")], ("remove", "shoes"), ["boots"], [("remove", "boots")]),
        ([("add", "shoes")], ("replace", "shoes", "geta"), [], [("add", "geta")]),
        ([], ("remove", "hat"), ["smile"], [("remove", "hat")]),
        ([], ("add", "smile"), ["smile"], [("add", "smile")]),
    ],
)
def test_edits_that_take_each_other_back_cancel_out(
    manual_edits: list[tuple[str, ...]], edit: tuple[str, ...], tags: list[str], expected: list[tuple[str, ...]]
) -> None:
    assert amended(manual_edits, edit, tags) == expected


@drawn(CAPTIONS, st.lists(EDITS, max_size=6))
def test_a_shortened_list_of_edits_gives_the_tags_of_all_edits_in_turn(
    tags: list[str], edits: list[tuple[str, ...]]
) -> None:
    manual_edits: list[tuple[str, ...]] = []
    for edit in edits:
        expected = set(apply(tags, ("Lumi",), [*manual_edits, edit])[0])
        manual_edits = amended(manual_edits, edit, tags, ("Lumi",))
        assert set(apply(tags, ("Lumi",), manual_edits)[0]) == expected
        assert len(manual_edits) <= len(edits)
        twice = len(manual_edits) > len(set(manual_edits))  # added, renamed away, and added again: both are needed
        once = list(dict.fromkeys(manual_edits))
        assert not twice or set(apply(tags, ("Lumi",), once)[0]) != expected


@drawn(CAPTIONS, st.lists(EDITS, max_size=3), EDITS)
def test_the_same_edit_twice_is_one(tags: list[str], edits: list[tuple[str, ...]], edit: tuple[str, ...]) -> None:
    manual_edits: list[tuple[str, ...]] = []
    for each in edits:
        manual_edits = amended(manual_edits, each, tags)
    once = amended(manual_edits, edit, tags)
    again = amended(once, edit, tags)
    assert apply(tags, (), again)[0] == apply(tags, (), once)[0]
    assert amended(again, edit, tags) == again


@drawn(CAPTIONS, CAPTIONS, st.lists(EDITS, max_size=6))
def test_every_change_has_one_row_and_no_tag_stands_twice(
    triggers: list[str], tags: list[str], manual_edits: list[tuple[str, ...]]
) -> None:
    left, rows = apply(tags, triggers, manual_edits)
    assert len(left) == len(set(left))
    assert sorted(row.tag for row in rows) == sorted(set(left) ^ set(tags))
    assert all((row.action == TagAction.ADDED) == (row.tag in left) for row in rows)
    plain = [scored(tag) for tag in tags]
    assert sorted(given(with_manual_edits(tags, plain, triggers, manual_edits)[1])) == sorted(tags)


def test_edits_are_reported_in_a_few_signs() -> None:
    assert (
        edits_in_words({"edits": [("add", "smile"), ("remove", "hat"), ("replace", "boots", "geta")]})
        == "+smile, -hat, boots → geta"
    )
