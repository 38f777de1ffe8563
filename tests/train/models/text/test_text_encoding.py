import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import near

from train.models.load import load_base
from train.models.text.text_encoding import TOGETHER, TextStates, special_tokens, text_conditioning, token_rows
from train.models.text.tokens import CHUNK, COMMA, Limit, Special, chunks, framed, seen

CAPTIONS = ["Lumi, 1girl, solo", "", "flower (red), night", "Lumi, 1girl, smile, day, forest"]
LONG = ", ".join(f"red hair {number}" for number in range(40))


@pytest.fixture(scope="module")
def base():
    return load_base("miniature", device="cpu")


# --- chunks


def test_a_hand_worked_example_of_chunks():
    tokens = "a,bcd,efghijk"
    assert chunks(tokens, ",", 5, 3) == ["a,bcd", ",efgh", "ijk"], "no comma near enough to the end, or it comes next"
    assert chunks("abc,defgh", ",", 5, 2) == ["abc,", "defgh"], "the comma stays, what follows it moves on"
    assert chunks("abcd,efgh", ",", 5, 2) == ["abcd,", "efgh"]
    assert chunks("abc,d", ",", 5, 2) == ["abc,d"], "what fits is left alone"
    assert chunks("ab,cdefgh", ",", 5, 2) == ["ab,cd", "efgh"], "the comma is too far from the end"
    assert chunks("", ",", 5, 2) == [""]


def as_the_clients_do(tokens: list[int], comma: int, size: int, backtrack: int) -> list[list[int]]:
    """Token by token, as it happens in A1111 and Forge while they read a prompt."""
    done: list[list[int]] = []
    open_chunk: list[int] = []
    last_comma = -1
    for token in tokens:
        full = len(open_chunk) == size
        if token == comma:
            last_comma = len(open_chunk)
        elif full and last_comma != -1 and size - last_comma <= backtrack:
            done.append(open_chunk[: last_comma + 1])
            open_chunk, last_comma, full = open_chunk[last_comma + 1 :], -1, False
        if len(open_chunk) == size:
            done.append(open_chunk)
            open_chunk, last_comma = [], -1
        open_chunk.append(token)
    return [*done, open_chunk]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=60), st.integers(2, 9), st.integers(1, 8))
def test_chunks_are_those_of_the_clients_reading_token_by_token(tokens, size, backtrack):
    backtrack = min(backtrack, size - 1)
    found = chunks(tokens, 0, size, backtrack)
    assert found == as_the_clients_do(tokens, 0, size, backtrack)
    assert [token for chunk in found for token in chunk] == tokens and all(len(chunk) <= size for chunk in found)


def test_a_chunk_is_framed_by_start_and_end_and_padded_behind_the_end():
    assert framed((5, 6), Special(start=1, end=2, pad=2, comma=9), 4) == (1, 5, 6, 2, 2, 2)
    assert framed((5, 6), Special(start=1, end=2, pad=0, comma=9), 4) == (1, 5, 6, 2, 0, 0), "SD 2.x pads with 0"
    assert framed((5, 6, 7, 8), Special(start=1, end=2, pad=0, comma=9), 4) == (1, 5, 6, 7, 8, 2)


# --- limits


def spelled(text: str) -> list[str]:
    """A token for each letter, and one for `),`, as CLIP's vocabulary has one."""
    letters = [letter for letter in text.replace("),", "\0") if letter != " "]
    return ["),</w>" if letter == "\0" else f"{letter}</w>" for letter in letters]


def test_the_tags_beyond_the_limit_are_named_whole_or_in_part():
    tags = ["a" * 30, "b" * 30, "c" * 30]
    assert Limit(spelled, 75).lost(tags) == (["c" * 30], 30), "the chunk ends with the comma at 62"
    tags = ["a" * 30, "b" * 20, "c" * 30, "d"]
    assert Limit(spelled, 75).lost(tags) == (["c" * 30, "d"], 84 - 75), "the comma at 52 is too far from the end"
    assert Limit(spelled, 150).lost(tags) == ([], 0)


def test_a_comma_that_is_one_token_with_a_bracket_moves_no_tag_over_the_limit():
    tags = [f"({'a' * 10})"] * 7
    assert len(spelled(", ".join(tags))) == 84
    assert Limit(spelled, 75).lost(tags) == (tags[6:], 84 - 75)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text("abcdef(), ", min_size=1, max_size=30), max_size=30),
    st.sampled_from([75, 150]),
)
def test_a_tag_is_lost_when_its_last_token_is_not_read(tags, most):
    tags = [tag for each in tags for part in each.split(",") if (tag := part.strip())]
    lost, count = Limit(spelled, most).lost(tags)
    tokens = spelled(", ".join(tags))
    kept = seen(tokens, COMMA, most)
    assert count == len(tokens) - kept
    whole = len(tags) - len(lost)
    letters = "".join(token.removesuffix("</w>") for token in tokens[:kept])
    assert letters.startswith("".join(",".join(tags[:whole]).split()))
    if lost:
        assert not letters.startswith("".join(",".join(tags[: whole + 1]).split()))


# --- states


def test_short_captions_are_encoded_as_plain_77_tokens(base):
    encoded = base.tokenizer(CAPTIONS, padding="max_length", max_length=77, truncation=True, return_tensors="pt")
    for most in (75, 225):
        rows = token_rows(base, CAPTIONS, most)
        assert all(len(own) == 1 for own in rows)
        ids = [framed(own[0], special_tokens(base.tokenizer)) for own in rows]
        assert torch.equal(torch.tensor(ids), encoded.input_ids)
    with torch.no_grad():
        assert torch.equal(
            text_conditioning(base, CAPTIONS, max_tokens=225).states,
            base.text_encoder(encoded.input_ids).last_hidden_state,
        )
        skipped = base.text_encoder(encoded.input_ids, output_hidden_states=True).hidden_states[-2]
        encoder = getattr(base.text_encoder, "text_model", base.text_encoder)
        assert torch.equal(text_conditioning(base, CAPTIONS, clip_skip=2).states, encoder.final_layer_norm(skipped))


def test_a_long_caption_is_encoded_chunk_by_chunk_one_after_the_other(base):
    rows = token_rows(base, [LONG, "Lumi"], 150)
    assert [len(own) for own in rows] == [2, 2]
    comma = base.tokenizer.convert_tokens_to_ids(COMMA)
    assert rows[0][0][-1] == comma, "the first chunk ends with a tag"
    assert rows[1][1] == ()
    special = special_tokens(base.tokenizer)
    with torch.no_grad():
        states = text_conditioning(base, [LONG, "Lumi"], max_tokens=150).states
        assert states.shape == (2, 154, 128)
        for row in (0, 1):
            alone = base.text_encoder(torch.tensor([framed(rows[0][row], special)])).last_hidden_state[0]
            assert near(states[0, 77 * row : 77 * (row + 1)], alone, products=4 * 128)


def test_what_is_beyond_the_limit_is_not_read(base):
    assert len(base.tokenizer(LONG, add_special_tokens=False, verbose=False).input_ids) > 150
    assert [len(token_rows(base, [LONG], most)[0]) for most in (75, 150, 225)] == [1, 2, 3]


def test_a_captions_states_are_the_same_to_the_bit_in_any_company(base):
    company = [f"red hair {number}" for number in range(TOGETHER + 3)]
    alone = TextStates(base)([CAPTIONS[0]]).states[0]
    states = TextStates(base)
    assert torch.equal(states([*company, CAPTIONS[0]]).states[-1], alone)
    assert torch.equal(states([CAPTIONS[0], *company]).states[0], alone)
    with torch.no_grad():
        assert near(alone, text_conditioning(base, [CAPTIONS[0]]).states[0], products=4 * 128)


def test_a_row_is_read_once_and_the_ones_used_longest_ago_are_forgotten(base, monkeypatch):
    read = []
    real = text_conditioning.__globals__["row_states"]
    monkeypatch.setattr(
        "train.models.text.text_encoding.row_states",
        lambda base, rows, skip: read.append(set(rows)) or real(base, rows, skip),
    )
    states = TextStates(base, most_bytes=3 * 77 * 128 * 4)
    for captions in (["a", "b"], ["a"], ["c"], ["a"], ["d"], ["a"]):
        states(captions)
    assert [len(rows) for rows in read] == [2, 1, 1]
    states(["b"])
    assert len(read) == 4, "b was used longest ago"
    states([f"{number}" for number in range(9)])
    assert len(states._known) == 3


def test_a_trained_encoder_gets_gradients_through_every_chunk(base):
    weight = next(base.text_encoder.parameters())
    weight.requires_grad_(True)
    try:
        text_conditioning(base, [LONG, "Lumi"], max_tokens=225).states[0, 2 * CHUNK + 4 :].sum().backward()
        assert weight.grad is not None and bool(weight.grad.any())
    finally:
        weight.requires_grad_(False)
        weight.grad = None
