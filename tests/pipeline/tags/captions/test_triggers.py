from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import PrepError
from pipeline.store.wording import phrase
from pipeline.tags.captions.messages import on_triggers
from pipeline.tags.captions.triggers import leading, one_spelling, sharing_words, spelled, subjects, taken_words
from pipeline.tags.statistics.core_tags import Core, mode_of, traits_of
from pipeline.tags.vocabulary.aliases import Vocabulary
from pipeline.tags.vocabulary.token_count import (
    Tokens,
    is_common,
    load_tokens,
    telling_tokens,
    tokenizer_files,
    within_tokens,
)
from train.miniature import painter

FOLDER = Path(painter.__file__).parent / "base/tokenizer"
LETTERS = Tokens(lambda text: tuple(text.replace(" ", "")))
"""A tokenizer of one letter to a token."""


def test_everyone_in_a_folder_has_words_of_their_own() -> None:
    assert subjects("a/Anisphia+Euphyllia", {"Anisphia": "anis, princess"}, True) == (
        ("anis", "princess"),
        ("Euphyllia",),
    )
    assert subjects("a/Anisphia+Euphyllia", {"Anisphia": ""}, True) == (("Euphyllia",),)


def test_oyama_blends_mahiro_and_mihari_and_the_tokens_say_so_where_words_cannot() -> None:
    assert sharing_words(["Oyama Mahiro", "Oyama Mihari"]) == (("Oyama Mahiro", "Oyama Mihari", "oyama"),)
    assert sharing_words(["oyamamahiro", "oyamamihari"]) == ()
    three = Tokens(lambda text: tuple(text[place : place + 5] for place in range(0, len(text), 5)))
    pairs = sharing_words(["oyamamahiro", "oyamamihari"], lambda word: telling_tokens(three, word))
    assert pairs == (("oyamamahiro", "oyamamihari", "oyama"),)


def test_a_trigger_word_that_means_something_is_reported_with_what_it_means() -> None:
    known = Vocabulary({"snow": "general", "lily (flower)": "general", "smile": "general"})
    assert taken_words(["Snow", "Lily", "Lumi"], known.categories) == {"Snow": "snow", "Lily": "lily (flower)"}
    warnings = list(on_triggers(["Snow", "Lily", "Lumi", "K"], known, None))
    assert warnings == [
        "trigger words that are tags already, with a meaning of their own: Snow",
        "trigger words that are common words, with a meaning of their own: Lily (as in lily (flower))",
        "trigger words too short to stand for anything: K",
    ]


def test_with_a_tokenizer_a_word_that_is_one_token_is_reported() -> None:
    tokens = Tokens(lambda text: ("snow</w>",) if text == "snow" else ("lu", "mi</w>"))
    assert is_common(tokens, "snow") and not is_common(tokens, "lumi")
    (note,) = on_triggers(["lumi", "snow"], Vocabulary({}), tokens)
    assert note == "trigger words that are one token, so the base model knows them already: snow"


def test_how_many_trigger_words_a_caption_begins_with() -> None:
    assert leading("quill, Lumi, smile", ("Lumi", "Quill")) == 2
    assert leading("smile, Lumi", ("Lumi",)) == 0 == leading("", ("Lumi",))


# --- tokens


def test_a_tokenizer_is_read_from_its_file_or_from_the_two_files_of_clip_alike(tmp_path: Path) -> None:
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    one, two = load_tokens(FOLDER / "tokenizer.json"), load_tokens(tmp_path)
    assert tokenizer_files(tmp_path) == (tmp_path / "vocab.json", tmp_path / "merges.txt")
    for text in ("Lumi, 1girl, white hair", "a >_< b, 2girls", "don't"):
        assert one.of_text(text) == two.of_text(text)
    assert len(one.of_text("white hair, smile")) < 77, "no padding"


def test_what_is_no_tokenizer_is_reported(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(PrepError, match=r"tokenizer.json cannot be read as a tokenizer"):
        load_tokens(tmp_path)
    with pytest.raises(PrepError, match="no tokenizer at") as caught:
        load_tokens(tmp_path / "none")
    assert "vocab.json and merges.txt" in caught.value.hint


def test_tags_are_counted_with_their_commas() -> None:
    assert within_tokens(["abc", "de", "f"], ["Lumi"], 8, LETTERS, ", ") == 1, "Lumi,abc is 8"
    assert within_tokens(["abc", "de", "f"], ["Lumi"], 7, LETTERS, ", ") == 0
    assert within_tokens(["abc", "de", "f"], [], 8, LETTERS, ", ") == 3, "abc,de,f"


@given(
    st.lists(st.sampled_from(["white hair", "smile", ">_<", ":d", "!?", "red eyes", "1girl"]), max_size=8),
    st.integers(0, 25),
)
def test_as_many_tags_stay_as_the_limit_allows_and_no_more(tags: list[str], limit: int) -> None:
    tokens = load_tokens(FOLDER)
    count = within_tokens(tags, ["Lumi"], limit, tokens, ", ")
    length = [len(tokens.of_text(", ".join(["Lumi", *tags[:upto]]))) for upto in range(len(tags) + 1)]
    assert count == 0 or length[count] <= limit
    assert count == len(tags) or length[count + 1] > limit


# --- what becomes of core tags


@pytest.mark.parametrize(
    ("trigger", "concepts", "asked", "mode"),
    [
        ("Lumi", {"characters/Lumi"}, {}, "prune"),
        ("alder", {"artists/alder"}, {}, "none"),
        ("alder", {"art/artists/alder"}, {}, "none"),
        ("alder", {"artists/alder", "characters/alder"}, {}, "prune"),
        ("alder", {"artists/alder"}, {"alder": "prune"}, "prune"),
        ("Lumi", {"characters/fanart/Lumi"}, {"characters/*": "keep"}, "keep"),
        ("Lumi", {"characters/fanart/Lumi"}, {"characters/*": "keep", "Lumi": "none"}, "none"),
    ],
)
def test_nothing_is_pruned_for_a_style_and_what_was_asked_for_a_word_goes_first(
    trigger: str, concepts: set[str], asked: dict[str, str], mode: str
) -> None:
    assert mode_of(trigger, concepts, asked, ("artists/*", "styles/*")) == mode


def test_what_a_person_listed_goes_before_what_was_found() -> None:
    core = Core("Lumi", "white hair", 9, 10, 1, 20)
    cores = {"Lumi": {"white hair": core, "hat": Core("Lumi", "hat", 8, 10, 0, 20)}}
    found = traits_of(cores, {"Lumi": "prune", "Quill": "none"}, {"*": ["watch"], "Lumi": ["scar"]}, {"*": ["hat"]})
    pruned, kept = ({tag: phrase(why) for tag, why in each["Lumi"].items()} for each in (found.pruned, found.kept))
    assert pruned == {
        "white hair": "core of Lumi: in 9 of 10 images, 1 of 20 others",
        "scar": "core of Lumi: as asked",
        "watch": "core of Lumi: as asked",
    }
    assert kept == {"hat": "core of Lumi, kept as asked: in 8 of 10 images, 0 of 20 others"}
    assert found.silent("Quill") == {"watch"}
    own = traits_of(cores, {"Lumi": "prune"}, {"Lumi": ["hat"]}, {"*": ["hat"]})
    assert "hat" in own.pruned["Lumi"], "the word's own list goes before the one for all"


def test_trigger_words_that_differ_in_case_only_are_one_in_the_usual_spelling() -> None:
    assert one_spelling(["lucy", "lucy", "Lucy", "Quill"]) == {"Lucy": "lucy"}
    assert one_spelling(["lucy", "Lucy", "LUCY"]) == {"lucy": "LUCY", "Lucy": "LUCY"}
    assert one_spelling(["lucy", "Lucy"]) == {"lucy": "Lucy"}
    assert spelled((("Lucy", "hat"), ("lucy",), ("LUCY", "lucy")), {"lucy": "Lucy", "LUCY": "Lucy"}) == (
        ("Lucy", "hat"),
        ("Lucy",),
    )
