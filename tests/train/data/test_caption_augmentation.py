import itertools
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import PrepError
from pipeline.core.flat import flat
from train.data.caption_augmentation import (
    StepContext,
    class_words_of,
    expand,
    longest,
    normalized,
    shown_caption,
    shown_reg_image,
    split_at_separators,
    tags_of,
    unpaired,
    warmed_up,
)
from train.data.options import BatchOptions
from train.options.recipe import make_recipe

TAGS = "Lumi, 1girl, solo, smile, night"
still = {"shuffle_tags": False}


def context(number: int = 0, step: int = 0, epoch: int = 0) -> StepContext:
    return StepContext(step, epoch, ("sample", 420, epoch, step, f"image {number}"), BatchOptions())


def shown(caption: str, at: StepContext | None = None, triggers: tuple[str, ...] = ("Lumi",), **options) -> str:
    recipe = make_recipe(**options)
    return shown_caption(caption, triggers, recipe.captions, replace(at or context(), run=recipe.batches))


def all_shown(caption: str, times: int = 300, **options) -> list[str]:
    return [shown(caption, context(number), **options) for number in range(times)]


# --- order and kept tags


def test_trigger_words_stay_in_front_and_no_tag_is_lost():
    found = set(all_shown(TAGS))
    assert all(text.startswith("Lumi, ") and sorted(tags_of(text)) == sorted(tags_of(TAGS)) for text in found)
    assert len(found) == 24


def test_without_shuffling_the_caption_is_as_written():
    assert shown("Lumi,1girl ,  solo", **still) == "Lumi,1girl ,  solo"


def test_a_number_of_tags_to_keep_counts_from_the_front():
    assert {tuple(tags_of(text)[:3]) for text in all_shown(TAGS, keep_tags=3)} == {("Lumi", "1girl", "solo")}
    assert {tags_of(text)[0] for text in all_shown(TAGS, keep_tags=0)} == set(tags_of(TAGS))


def test_the_separator_keeps_what_is_before_it_and_behind_a_second_one():
    found = set(all_shown("Lumi, 1girl|||a, b, c, |||night, |||sky", keep_tags=0))
    assert {text.removeprefix("Lumi, 1girl, ").removesuffix(", night, sky") for text in found} == {
        ", ".join(order) for order in itertools.permutations("abc")
    }


def test_a_separator_that_curation_writes_as_a_tag_of_its_own_is_none():
    assert split_at_separators("Lumi, |||, 1girl, solo", (), 0, "|||") == (["Lumi"], ["1girl", "solo"], [])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(["Lumi", "1girl", "red hair", "|||", ";;;", "smile", "\n", ","]), max_size=12),
    st.booleans(),
    st.sampled_from([0.0, 0.4]),
    st.sampled_from([0, 7]),
    st.sampled_from(["all", "one"]),
    st.sampled_from([None, 2]),
    st.booleans(),
    st.integers(0, 9),
)
def test_no_mark_is_ever_read_whatever_else_is_on(parts, shuffle, dropout, warmup, lines, keep, wildcards, step):
    options = {
        "shuffle_tags": shuffle,
        "tag_dropout": dropout,
        "tag_warmup_steps": warmup,
        "caption_lines": lines,
        "keep_tags": keep if shuffle or dropout or warmup else None,
        "wildcards": wildcards,
        "group_separator": ";;;",
    }
    caption = " ".join(parts)
    at, recipe = context(0, step), make_recipe(**options)
    for text in (
        shown_caption(caption, ("Lumi",), recipe.captions, at),
        shown_reg_image(caption, caption, ("Lumi",), recipe.captions, at),
        longest(caption, recipe.captions),
    ):
        assert not any(mark in text for mark in ("|||", ";;;", "\n"))
        assert {word for tag in tags_of(text) for word in tag.split()} <= {"Lumi", "1girl", "red", "hair", "smile"}


def test_an_empty_caption_stays_empty():
    assert shown("") == "" and shown(" \n", caption_lines="one", **still) == "" and shown("", tag_dropout=0.5) == ""


# --- groups, dropout, warm-up


def test_tags_of_a_group_move_and_go_together_and_are_read_with_commas():
    found = all_shown("a, black hair;;;long hair, c", triggers=(), group_separator=";;;", tag_dropout=0.3)
    tags = [tags_of(text) for text in found]
    assert all(("black hair" in each) == ("long hair" in each) for each in tags)
    assert all(each[each.index("black hair") + 1] == "long hair" for each in tags if "black hair" in each)
    assert len({tuple(each) for each in tags}) > 6


def test_tag_dropout_leaves_out_its_share_of_the_tags_that_move_and_none_that_is_kept():
    tags = [tags_of(text) for text in all_shown(TAGS, 1000, tag_dropout=0.25, **still)]
    counts = Counter(tag for each in tags for tag in each)
    assert counts["Lumi"] == 1000
    assert all(690 < counts[tag] < 810 for tag in ("1girl", "solo", "smile", "night"))


def test_caption_dropout_leaves_out_prefix_and_all():
    found = Counter(all_shown("a", 1000, triggers=(), caption_dropout=0.25, caption_prefix="best"))
    assert found.keys() == {"", "best, a"} and 200 < found[""] < 300


def test_every_nth_epoch_is_counted_from_one_and_from_its_first_step_on():
    found = [[shown("a", context(0, step, epoch), caption_dropout_epochs=3) for step in (0, 5)] for epoch in range(6)]
    assert found == [["a"] * 2, ["a"] * 2, ["", ""], ["a"] * 2, ["a"] * 2, ["", ""]]


def test_a_warm_up_by_hand():
    assert [warmed_up(9, 1, step, 4) for step in range(6)] == [1, 3, 5, 7, 9, 9]
    assert [warmed_up(3, 5, step, 4) for step in range(5)] == [3] * 5
    assert warmed_up(100, 0, 29, 100) == 29


def test_tags_come_in_by_their_place_in_the_caption_before_they_are_shuffled():
    found = {
        step: {shown(TAGS, context(number, step), tag_warmup_steps=4) for number in range(50)} for step in (0, 2, 4)
    }
    assert found[0] == {"Lumi, 1girl"}
    assert found[2] == {"Lumi, 1girl, solo", "Lumi, solo, 1girl"}
    assert len(found[4]) > 10 and all(len(tags_of(text)) == 5 for text in found[4])


def test_a_share_of_the_run_is_counted_in_its_steps_or_else_in_its_epochs():
    options = {"tag_warmup_share": 0.5, **still}
    in_steps = [len(tags_of(shown(TAGS, context(0, step), steps=8, **options))) for step in range(6)]
    assert in_steps == [2, 2, 3, 4, 5, 5]
    in_epochs = [len(tags_of(shown(TAGS, context(0, 99, epoch), epochs=4, **options))) for epoch in range(3)]
    assert in_epochs == [2, 3, 5]


# --- wildcards, lines, prefix and suffix


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("{a|b} c", "a c"),
        ("{{a|b}}", "{a|b}"),
        ("{{{a|b} }}", "{a }"),
        ("{{{a|b}}}", "{a"),
        ("x {|b}", "x "),
        ("{a}", "a"),
        ("no braces | at all", "no braces | at all"),
        ("{a|b", "{a|b"),
        ("a}", "a}"),
        ("{a, b|c}, d", "a, b, d"),
        ("", ""),
    ],
)
def test_wildcards_by_hand_the_first_part_taken(written, read):
    assert expand(written, lambda parts: parts[0]) == read


@given(st.text("ab{}|, ", max_size=20).filter(lambda text: not unpaired(text)))
def test_doubled_braces_give_back_any_caption(text):
    doubled = text.replace("{", "{{").replace("}", "}}")
    assert expand(doubled, lambda parts: parts[0]) == text


def test_every_part_of_a_wildcard_is_drawn_about_as_often():
    found = Counter(all_shown("{red|blue|} hair", 900, triggers=(), wildcards=True, **still))
    assert found.keys() == {"red hair", "blue hair", " hair"} and min(found.values()) > 240


def test_wildcards_are_left_as_written_unless_asked_for():
    assert shown("{a|b}", triggers=(), **still) == "{a|b}"


def test_all_lines_are_read_unless_one_is_asked_for():
    assert shown("Lumi, 1girl\n\nA girl.\r\nsolo", **still) == "Lumi, 1girl, A girl., solo"
    lines = Counter(all_shown("Lumi, 1girl\n\nA girl.\nsolo", caption_lines="one", **still))
    assert lines.keys() == {"Lumi, 1girl", "A girl.", "solo"} and min(lines.values()) > 70


def test_prefix_and_suffix_stay_in_place_and_are_not_counted_among_the_tags_to_keep():
    found = set(all_shown("a, b, c", keep_tags=1, caption_prefix="best, ", caption_suffix=", night"))
    assert found == {"best, a, b, c, night", "best, a, c, b, night"}
    assert shown("", caption_prefix="best") == "best"


# --- draws


def test_the_same_step_gives_the_same_caption_and_another_another():
    options = {"tag_dropout": 0.2, "caption_dropout": 0.1}
    assert all_shown(TAGS, **options) == all_shown(TAGS, **options)
    assert len({shown(TAGS, context(0, step)) for step in range(50)}) > 15


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 50), st.integers(0, 50))
def test_one_option_changes_nothing_about_anothers_draws(number, step):
    caption, at = "Lumi, a, b, c, d, e, f", context(number, step)
    order = tags_of(shown(caption, at))
    assert tags_of(shown(caption, at, caption_dropout=0.5) or ", ".join(order)) == order
    stays = set(tags_of(shown(caption, at, tag_dropout=0.5, **still)))
    assert set(tags_of(shown(caption, at, tag_dropout=0.5))) == stays


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 50), st.sampled_from([None, 0, 1, 2, 3]), st.sampled_from([0.0, 0.4]), st.sampled_from([0, 60]))
def test_a_reg_image_without_trigger_words_is_shown_with_the_same_tags_in_the_same_order(number, keep, dropout, warmup):
    recipe = make_recipe(keep_tags=keep, tag_dropout=dropout, tag_warmup_steps=warmup, caption_dropout=0.2)
    at, triggers = context(number, number), ("Lumi", "Oriel")
    own = shown_caption("Lumi, Oriel, a, b, c, d, e", triggers, recipe.captions, at)
    reg_image = shown_reg_image("a, b, c, d, e", "Lumi, Oriel, a, b, c, d, e", triggers, recipe.captions, at)
    if keep in (None, 2, 3):
        assert [tag for tag in tags_of(own) if tag not in triggers] == tags_of(reg_image)
    assert own or not reg_image, "both are left out, or none"
    same = shown_reg_image("Lumi, Oriel, a, b, c, d, e", "Lumi, Oriel, a, b, c, d, e", triggers, recipe.captions, at)
    assert same == own


@pytest.mark.parametrize("keep", [None, 2, 3])
def test_a_class_word_stays_in_front_as_the_trigger_words_do_that_it_stands_for(keep):
    recipe, of, caption = (
        make_recipe(keep_tags=keep, tag_dropout=0.4),
        "Lumi, Oriel, a, b, c, d, e",
        "girl, a, b, c, d, e",
    )
    assert class_words_of(caption, of) == ("girl",)
    for number in range(20):
        at = context(number, number)
        own = shown_caption(of, ("Lumi", "Oriel"), recipe.captions, at)
        reg_image = shown_reg_image(caption, of, ("Lumi", "Oriel", "girl"), recipe.captions, at)
        assert tags_of(reg_image) == ["girl", *tags_of(own)[2:]]


def test_a_reg_image_keeps_the_caption_it_was_made_from_without_prefix_and_suffix():
    recipe = make_recipe(shuffle_tags=False, caption_prefix="best", caption_suffix="sky")
    assert shown_reg_image("a, b", "Lumi, a, b", ("Lumi",), recipe.captions, context()) == "a, b"
    assert shown_caption("Lumi, a, b", ("Lumi",), recipe.captions, context()) == "best, Lumi, a, b, sky"


def test_a_caption_without_separators_is_used_as_it_is():
    assert normalized("a ,b", ("|||", "")) == "a ,b"
    assert normalized("a ,|||b||| c\nd", ("|||",)) == "a, b, c, d"


def test_the_longest_caption_has_the_longest_parts():
    recipe = make_recipe(wildcards=True, caption_lines="one", caption_suffix="sky")
    assert longest("a\n{red|light blue} hair|||long", recipe.captions) == "light blue hair, long, sky"


# --- what goes together


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tag_dropout": 1.0}, "tag_dropout is 1.0, it must be 0 or more and below 1"),
        ({"tag_warmup_steps": -1}, "tag_warmup_steps is -1, it must be 0 or more"),
        ({"tag_warmup_share": 1.5}, "tag_warmup_share is 1.5, it must be from 0 to 1"),
        ({"tag_warmup_min": -1, "tag_warmup_steps": 5}, "tag_warmup_min is -1"),
        ({"caption_dropout_epochs": 1}, "leave every caption of every epoch empty"),
        ({"caption_dropout_epochs": -2}, "caption_dropout_epochs is -2"),
        ({"caption_dropout_epochs": 11, "epochs": 10}, "caption_dropout_epochs is 11, but the run has 10 epochs"),
        ({"keep_separator": "a, b"}, "keep_separator is 'a, b'"),
        ({"group_separator": " ;;"}, "group_separator is ' ;;'"),
        ({"keep_separator": "{}", "wildcards": True}, "braces are those of wildcards"),
        ({"keep_separator": "|||", "group_separator": "|"}, "cannot be distinguished"),
        ({"caption_prefix": "a ||| b"}, "caption_prefix holds '|||'"),
        ({"caption_suffix": "a\nb"}, "caption_suffix has several lines"),
        ({"keep_tags": 2, "shuffle_tags": False}, "keep_tags is 2, but no tag is moved or left out"),
        ({"tag_warmup_min": 3}, "tag_warmup_min is 3, but there is no tag warm-up"),
        ({"tag_warmup_steps": 9, "tag_warmup_share": 0.1}, "tag_warmup_steps is 9 and tag_warmup_share 0.1"),
        ({"tag_warmup_steps": 100, "steps": 100}, "the run ends after 100: the last tags would never be shown"),
        ({"caption_dropout": 1.0, "wildcards": True}, "wildcards does nothing: caption_dropout is 1"),
        ({"caption_dropout": 1.0, "caption_prefix": "a"}, "caption_prefix does nothing"),
        ({"caption_dropout": 1.0, "caption_dropout_epochs": 2}, "caption_dropout_epochs does nothing"),
    ],
)
def test_what_would_do_nothing_or_something_else_is_refused_with_the_reason(options, words):
    with pytest.raises(PrepError) as caught:
        make_recipe(**options)
    assert words in caught.value.message and caught.value.message.startswith("train: ")
    assert caught.value.hint


@pytest.mark.parametrize(
    "options",
    [
        {"keep_tags": 2, "shuffle_tags": False, "tag_dropout": 0.1},
        {"keep_tags": 2, "shuffle_tags": False, "tag_warmup_share": 0.1},
        {"caption_dropout": 1.0},
        {"keep_separator": "|", "wildcards": True},
        {"keep_separator": "", "group_separator": "|"},
        {"caption_dropout_epochs": 20, "steps": 5000, "epochs": 2},
        {"tag_warmup_steps": 50, "steps": 100, "tag_warmup_min": 0},
        {"group_separator": ";;;", "shuffle_tags": False},
    ],
)
def test_what_goes_together_is_taken(options):
    recipe = make_recipe(**options)
    assert all(flat(recipe)[name] == value for name, value in options.items())
