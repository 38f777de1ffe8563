"""Weights in prompts act as in A1111 and Forge, and only in prompts."""

import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.caption_text import escaped
from train.models.load import load_base
from train.models.sampling.generate import Sampling, generate
from train.models.text.emphasis import ROUND, SQUARE, Part, weighted_parts
from train.models.text.prompts import Prompt, Request, filled_in
from train.models.text.text_encoding import emphasized, prompt_conditioning, text_conditioning


@pytest.fixture(scope="module")
def base():
    return load_base("miniature", device="cpu")


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("(x)", [("x", ROUND)]),
        ("((x))", [("x", ROUND**2)]),
        ("[x]", [("x", SQUARE)]),
        ("(x:1.2)", [("x", 1.2)]),
        ("((x:1.2))", [("x", 1.2 * ROUND)]),
        ("(a (b:1.5):0.5)", [("a ", 0.5), ("b", 0.75)]),
        ("(x:0), (y:-1)", [("x", 0.0), (", ", 1.0), ("y", -1.0)]),
        ("mihari \\(series\\)", [("mihari (series)", 1.0)]),
        ("(a:1.2", [("a:1.2", ROUND)]),
        ("x) y]", [("x) y]", 1.0)]),
        ("(a)(b)", [("ab", ROUND)]),
        ("(smile:) :d)", [("smile:", ROUND), (" :d)", 1.0)]),
        ("(x:1.2.3)", [("x:1.2.3", ROUND)]),
        ("a cat:1.2", [("a cat:1.2", 1.0)]),
        ("a\\b", [("ab", 1.0)]),
        ("", [("", 1.0)]),
    ],
)
def test_weights_are_read_as_a1111_reads_them(prompt, expected):
    found = weighted_parts(prompt)
    assert [part.text for part in found] == [text for text, _ in expected]
    assert [part.weight for part in found] == pytest.approx([weight for _, weight in expected])


def test_break_begins_a_chunk_and_is_no_word():
    assert weighted_parts("a BREAK (b:2)") == [Part("a"), Part("b", 2.0, True)]
    assert weighted_parts("BREAKFAST") == [Part("BREAKFAST")]


@given(st.text(st.sampled_from(list("()[]:.\\ ab1")), max_size=60))
def test_any_prompt_gives_its_letters(prompt):
    found = weighted_parts(prompt)
    assert found and all(part.weight == part.weight for part in found)


@given(st.text(st.sampled_from(list("()[]\\ ab")), min_size=1, max_size=20))
def test_what_is_escaped_is_read_as_it_is(text):
    assert weighted_parts(escaped(text)) == [Part(text)]


def test_a_prompt_of_nothing_but_signs_is_read_at_once():
    start = time.perf_counter()
    weighted_parts("(" * 2000 + "a" + ")" * 2000)
    assert time.perf_counter() - start < 5


def test_a_weighted_row_is_that_worked_by_hand():
    # tokens 0 to 2, the middle one twice: z·w = [[1, 2], [6, 8], [5, 6]], of mean 28/6 where it was 21/6: times 0.75
    states = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]])
    found = emphasized(states, [(2.0,)], [2])
    assert torch.allclose(found, torch.tensor([[[0.75, 1.5], [4.5, 6.0], [3.75, 4.5]]]))
    two = emphasized(torch.cat([states, 10 * states], dim=-1), [(2.0,)], [2, 2])
    assert torch.allclose(two, torch.cat([found, 10 * found], dim=-1)), "each encoder has a mean of its own"
    assert emphasized(states, [(1.0, 1.0)], [2]) is states


def test_a_plain_prompt_is_a_caption_and_a_weighted_one_differs_at_its_tokens(base):
    plain = prompt_conditioning(base, ["1girl, red hair", ""])
    assert torch.equal(plain.states, text_conditioning(base, ["1girl, red hair", ""]).states)
    heavy = prompt_conditioning(base, ["1girl, (red hair:1.4)"])
    assert heavy.states.shape == plain.states[:1].shape and not torch.equal(heavy.states, plain.states[:1])
    assert torch.allclose(heavy.states.mean(), plain.states[:1].mean(), atol=1e-5)
    assert prompt_conditioning(base, ["a BREAK b"]).states.shape[1] == 2 * 77
    long = ", ".join(f"(tag {number}:1.1)" for number in range(60))
    assert prompt_conditioning(base, [long]).states.shape[1] > 77, "a prompt is read to its end"


def test_weights_are_for_prompts_and_never_for_captions(base):
    (request,), _ = filled_in([Prompt("1girl, (red hair:1.4)", seed=1)], (64, 64), steps=2)
    assert request.weighted and not Request("x", 1, (64, 64)).weighted
    weighted = generate(base, [request], Sampling(steps=2))[0]
    rest = (1, (64, 64), request.negative, 2, request.guidance)
    others = [Request(text, *rest) for text in ("1girl, red hair", "1girl, (red hair:1.4)")]
    assert weighted.tobytes() not in {image.tobytes() for image in generate(base, others, Sampling(steps=2))}
