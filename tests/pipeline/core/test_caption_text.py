"""Captions as they are pasted and exported, each read once as what is meant; and any text, in a time that grows with it."""

import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.core.caption_text import (
    LONGEST,
    after_tags,
    escaped,
    lines_of,
    pieces,
    read_caption_text,
    split_tags,
    unescaped,
    without_weights,
)

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus" / "captions"


@pytest.mark.parametrize(
    ("text", "expected", "taken_out"),
    [
        ("Lumi ||| 1girl, hat", "Lumi ||| 1girl, hat", ""),
        ("1girl，solo、hat", "1girl, solo, hat", ""),
        ("(red hair:1.2), ((smile)), [hat]", "red hair, smile, hat", "weights"),
        ("(a tag, another:1.3), c", "a tag, another, c", "weights"),
        ("a (b (red:1.2)), d", "a (b red), d", "weights"),
        ("[red:blue:0.5] dress, [hat:10], [cap::.25]", "blue dress, hat, cap", "schedules"),
        ("[cow|horse], [fe|]male, [[a hat:a cap:0.3]:5]", "cow, female, a cap", "schedules"),
        ("[(red hair:1.2):blue hair, smile: 12 ]", "blue hair, smile", "schedules"),
        (
            "[fate:zero], [|_|], [:|], [16:9], \\[a:b:0.5\\]",
            "fate:zero, [|_|], [:|], [16:9], [a:b:0.5]",
            "weights, escapes",
        ),
        ("mihari (series), (o)_(o), :), >:(, re:zero, 16:9", "mihari (series), (o)_(o), :), >:(, re:zero, 16:9", ""),
        ("mihari \\(series\\), smile", "mihari (series), smile", "escapes"),
        ("(mihari \\(series\\):1.1)", "mihari (series)", "weights, escapes"),
        ("1girl, <lora:x:0.8>, hat <lyco:y:1>", "1girl, hat", "networks"),
        ("1girl BREAK hat, BREAKFAST", "1girl, hat, BREAKFAST", "breaks"),
        ("1girl, hat\nNegative prompt: bad\nSteps: 20, Sampler: Euler", "1girl, hat", "generation text"),
        ("1girl\nSteps: 20, Sampler: Euler", "1girl", "generation text"),
        ("\ufeffze\u200bro, hat", "zero, hat", "invisible letters"),
        ("1girl\nsolo\nred hair\n", "1girl, solo, red hair", ""),
        ("a cat, b\r\na dog, c\r\n", "a cat, b\na dog, c", ""),
        ("first line\nsecond line", "first line\nsecond line", ""),
        ("A girl (smiling) in the rain. She runs.", "A girl (smiling) in the rain. She runs.", ""),
        ("(unclosed, tag", "(unclosed, tag", ""),
        ("👩\u200d👩\u200d👧, hat", "👩\u200d👩\u200d👧, hat", ""),
        ("", "", ""),
    ],
)
def test_what_is_meant_is_read_and_what_is_not_of_it_is_named(text, expected, taken_out):
    found = read_caption_text(text)
    assert (found.text, ", ".join(found.taken_out)) == (expected, taken_out)


def test_a_text_is_parted_whatever_parts_it():
    assert split_tags("a ||| b，c、d\ne,, f") == ("a", "b", "c", "d", "e", "f")
    assert (
        after_tags("a, b, c, d", 2).strip() == "c, d" and after_tags("a, b", 0) == "a, b" and after_tags("a", 3) == ""
    )
    assert lines_of(" a \n\nb") == ["a", "b"]


@given(st.text(st.characters(codec="utf-8"), max_size=200))
@example("(" * 50 + "a:1.2)" * 50)
def test_any_text_is_read_once_and_for_all(text):
    once = read_caption_text(text)
    assert read_caption_text(once.text).text == read_caption_text(read_caption_text(once.text).text).text
    assert "".join(part + behind for part, behind in pieces(text)) == text
    assert "\ufeff" not in once.text and "\r" not in once.text


@given(st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8), min_size=1, max_size=8))
def test_plain_tags_stay_as_they_are(tags):
    text = ", ".join(tags)
    if "BREAK" not in text:
        assert read_caption_text(text).text == text and split_tags(text) == tuple(tags)


@given(st.text(max_size=60))
def test_what_is_escaped_for_a_prompt_comes_back_and_is_no_weight(tag):
    assert unescaped(escaped(tag)) == tag or "\\" in tag
    assert without_weights(escaped(tag)) == escaped(tag)


HOSTILE = [
    "(",
    "(a:1",
    "[(",
    ")]",
    "\\",
    "<lora:",
    "(a:1.2), ",
    "[a:b:0.5], ",
    "[a|",
    "[a:b]",
    "BREAK",
    " ",
    "a\n",
    "，",
    "|||",
    "a",
    "Steps: 1, ",
    "\u200b",
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_the_longest_caption_of_the_worst_letters_is_read_at_once(unit):
    text = unit * (2 * LONGEST // len(unit))
    start = time.perf_counter()
    found = read_caption_text(text)
    took = time.perf_counter() - start
    start = time.perf_counter()
    read_caption_text(text[: LONGEST // 8])
    eighth = time.perf_counter() - start
    assert len(found.text) <= 3 * LONGEST and took < 40 * max(eighth, 0.005), (
        "the time grows with the text, not with its square"
    )


@pytest.mark.parametrize("file", sorted(CORPUS.glob("*.txt")), ids=lambda file: file.stem)
def test_captions_that_once_went_wrong(file):
    text, _, expected = file.read_text(encoding="utf-8").partition("\n=====\n")
    assert read_caption_text(text).text == expected.rstrip("\n")


@pytest.mark.slow
@given(st.text(st.sampled_from(list("()[]{}<>|:.,\\ \n0123456789abBREAKlora，、\u200b")), max_size=2000))
@settings(max_examples=20_000, deadline=None)
def test_any_mix_of_the_signs_of_prompts_is_read(text):
    read_caption_text(text)
