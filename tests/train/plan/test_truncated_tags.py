"""Which tags the limit of tokens cuts is found from tags read once, as if every caption had been read whole."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_sets import recorded_set

import train.miniature
from pipeline.store.wording import figures
from pipeline.tags.vocabulary import token_count as reading
from pipeline.tags.vocabulary.token_count import TagTokens, Tokens, load_tokens
from train.data.caption_augmentation import longest, tags_of
from train.models.text.tokens import Limit
from train.options.recipe import make_recipe
from train.plan.planned import planned_run
from train.plan.truncated_tags import truncated_tags

FOLDER = Path(train.miniature.__file__).parent / "base/tokenizer"
ODD = (
    "1girl",
    "sword (weapon)",
    ":d",
    "^_^",
    "it's",
    "don't cry!",
    "…",
    "é",
    "e\u0301",
    "\u0301x",
    "a \u0338",
    "日本",
    "✨",
    "a  b",
    "</w>",
    "'s",
    "c++",
    "<|endoftext|>",
    "3.5",
    "x" * 90,
)


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory) -> tuple[Tokens, Tokens]:
    """The same vocabulary as a tokenizer.json and as the two files of older models."""
    folder = tmp_path_factory.mktemp("vocabulary")
    for name in ("vocab.json", "merges.txt"):
        (folder / name).write_bytes((FOLDER / name).read_bytes())
    return load_tokens(FOLDER / "tokenizer.json"), load_tokens(folder)


@settings(max_examples=40)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(ODD),
            st.text(min_size=1, max_size=8).map(lambda text: text.replace(",", " ").strip() or "tag"),
        ),
        max_size=12,
    ),
    st.booleans(),
)
def test_tokens_put_together_are_those_of_the_whole(tokenizers, tags, learn_all):
    for tokens in tokenizers:
        learned = TagTokens(tokens)
        learned.learn(tags if learn_all else tags[::2])
        text = ", ".join(tags)
        assert learned.of_text(text) == tokens.of_text(text)


def test_all_odd_tags_beside_each_other_are_read_as_the_whole_is(tokenizers):
    for tokens in tokenizers:
        learned = TagTokens(tokens)
        learned.learn(ODD)
        for one in ODD:
            for other in ODD:
                assert learned.of_text(f"{one}, {other}") == tokens.of_text(f"{one}, {other}"), (one, other)


def test_a_tag_whose_end_melts_into_the_comma_is_not_put_together():
    asked = []

    def encode(text: str) -> tuple[str, ...]:
        asked.append(text)
        return tuple(text.replace("!,", "¡").replace(",", " ,").split())

    learned = TagTokens(Tokens(encode))
    learned.learn(["a", "b!"])
    asked.clear()
    assert learned.of_text("a, a") == ("a", ",", "a") and not asked
    assert learned.of_text("b!, a") == ("b¡", "a") and asked == ["b!, a"]


def test_many_texts_are_read_a_batch_at_a_time_and_stay_in_order(monkeypatch):
    monkeypatch.setattr(reading, "BATCH", 3)
    sizes = []

    def many(texts: list[str]) -> list[tuple[str, ...]]:
        sizes.append(len(texts))
        return [tuple(text) for text in texts]

    tokens = Tokens(tuple, many)
    texts = [f"t{number}" for number in range(7)]
    assert list(tokens.of_many(texts)) == [(text, tuple(text)) for text in texts] and sizes == [3, 3, 1]


@pytest.fixture
def manifest(tmp_path: Path):
    """Sixty images with captions of one to fifty tags: common ones, rare ones, odd ones and prose."""
    rows = []
    for number in range(60):
        tags = [
            *(f"common tag {(number + place) % 9}" for place in range(number % 25)),
            *(ODD[(number + place) % len(ODD)] for place in range(number % 23)),
            *([f"a sentence that stands in number {number} alone"] * (number % 3)),
        ]
        rows.append((f"images/a/{number:02}.png", "a", (64, 64), ", ".join(tags) or "alone", 1.0))
    manifest = recorded_set(tmp_path / "set", rows)
    yield manifest
    manifest.close()


@pytest.mark.parametrize("most", [75, 150])
def test_rows_are_those_of_captions_read_whole_one_by_one(manifest, most):
    recipe = make_recipe(base="miniature", max_tokens=most, caption_prefix="red hair")
    run = planned_run(manifest, recipe)
    limit = Limit(load_tokens(FOLDER).of_text, most)
    wanted = []
    for example in run.training:
        lost, count = limit.lost(tags_of(longest(example.caption, recipe.captions)))
        if count:
            wanted.append((example.entry.key, lost, f"{count} tokens more than are read"))
    rows, info = truncated_tags(run, recipe)
    assert [(row.path, row.value, figures(row)) for row in rows] == wanted
    assert 10 < len(wanted) < 60 and info == ()
