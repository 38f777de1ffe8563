from pathlib import Path

from train.captions import shown_caption
from train.dataset import Example
from train.draws import rng
from train.latents import Picture
from train.sampler import Entry


def test_the_first_tags_stay_in_front_and_none_is_lost():
    caption = "Lumi, 1girl, solo, smile, night"
    shown = {shown_caption(caption, rng("test", index), True, 1, 0.0) for index in range(30)}
    assert all(text.startswith("Lumi, ") and sorted(text.split(", ")) == sorted(caption.split(", ")) for text in shown)
    assert len(shown) > 5


def test_without_shuffling_the_caption_is_as_written():
    assert shown_caption("Lumi, 1girl, solo", rng("test"), False, 1, 0.0) == "Lumi, 1girl, solo"


def test_dropout_empties_about_its_share_of_the_showings():
    empty = sum(shown_caption("a, b", rng("test", index), True, 1, 0.25) == "" for index in range(1000))
    assert 200 < empty < 300


def test_the_same_key_gives_the_same_caption():
    first, second = (shown_caption("a, b, c, d, e, f", rng("k", 1), True, 0, 0.0) for _ in range(2))
    assert first == second


def test_a_captions_trigger_words_are_its_head():
    example = Example(
        Entry("x", (64, 64), 1.0),
        "c",
        Picture("", Path("x"), {}),
        "Lumi, Oriel, 2girls, smile",
        ("Lumi", "Oriel"),
        None,
        "",
    )
    assert example.head("Lumi, Oriel, 2girls, smile") == 2
    assert example.head("2girls, smile") == 0
    assert example.head("Lumi") == 1
