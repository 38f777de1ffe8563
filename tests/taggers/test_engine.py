from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_tagger import SIDE, plain, sigmoid, write_labels

from taggers.engine import OnnxTagger, load_tagger
from taggers.errors import TaggerError

Make = Callable[..., Path]


def score_one(tagger: OnnxTagger, picture: Image.Image) -> dict[str, float]:
    ((found,),) = tagger.score([("key", picture)], lambda each: each)
    assert not found.problem
    return dict(found.scores)


def test_a_red_picture_is_red_because_the_model_gets_blue_green_red(tiny: Make) -> None:
    scores = score_one(load_tagger(str(tiny()), "cpu"), plain((200, 30, 60)))
    assert scores["red theme"] == pytest.approx(sigmoid((200 - 127.5) / 16), abs=1e-3)
    assert scores["blue theme"] == pytest.approx(sigmoid((60 - 127.5) / 16), abs=1e-3)
    assert "green theme" not in scores, "0.002 is below what is stored"


def test_scores_come_most_probable_first_and_kaomoji_keep_their_underscore(tiny: Make) -> None:
    scores = score_one(load_tagger(str(tiny()), "cpu"), plain((255, 255, 255)))
    assert list(scores.values()) == sorted(scores.values(), reverse=True)
    assert scores[">_<"] == pytest.approx(sigmoid(2), abs=1e-4)
    assert scores["somebody (test)"] == pytest.approx(sigmoid(4), abs=1e-4)


def test_a_wide_picture_is_padded_with_white_before_it_is_resized(tiny: Make) -> None:
    scores = score_one(load_tagger(str(tiny()), "cpu"), plain((0, 0, 0), (64, 32)))
    assert scores["bright"] == pytest.approx(sigmoid((255 / 2 - 127.5) / 16), abs=2e-3)


def test_pad_colour_range_and_channels_come_from_model_toml(tiny: Make) -> None:
    folder = tiny()
    (folder / "model.toml").write_text("pad = [0, 0, 0]\n", encoding="utf-8")
    assert "bright" not in score_one(load_tagger(str(folder), "cpu"), plain((0, 0, 0), (64, 32)))
    (folder / "model.toml").write_text('channels = "RGB"\n', encoding="utf-8")
    swapped = score_one(load_tagger(str(folder), "cpu"), plain((255, 0, 0)))
    assert swapped["blue theme"] > 0.99 and "red theme" not in swapped
    (folder / "model.toml").write_text("scale = 1.0\n", encoding="utf-8")
    dark = score_one(load_tagger(str(folder), "cpu"), plain((255, 255, 255)))
    assert not {"red theme", "green theme", "blue theme", "bright"} & dark.keys()


def test_stretching_leaves_no_padding(tiny: Make) -> None:
    folder = tiny()
    (folder / "model.toml").write_text("pad = false\n", encoding="utf-8")
    assert "bright" not in score_one(load_tagger(str(folder), "cpu"), plain((0, 0, 0), (64, 32)))


def test_mean_and_std_are_in_rgb_order_whatever_the_model_takes(tiny: Make) -> None:
    folder = tiny()
    (folder / "model.toml").write_text("mean = [255, 0, 0]\nstd = [1, 1, 1]\n", encoding="utf-8")
    scores = score_one(load_tagger(str(folder), "cpu"), plain((255, 255, 255)))
    assert "red theme" not in scores and scores["blue theme"] > 0.99


def test_a_channels_first_model_with_logits_gives_the_same_scores(tiny: Make) -> None:
    picture = plain((90, 140, 200), (50, 64))
    expected = score_one(load_tagger(str(tiny("wd")), "cpu"), picture)
    other = tiny("other", layout="NCHW", logits=True)
    (other / "model.toml").write_text('layout = "NCHW"\nactivation = "sigmoid"\n', encoding="utf-8")
    assert score_one(load_tagger(str(other), "cpu"), picture) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("batch", [1, 3, "N"])
def test_any_batch_size_gives_the_same_scores_in_the_same_order(tiny: Make, batch: int | str) -> None:
    tagger = load_tagger(str(tiny(batch=batch)), "cpu")
    pictures = [(str(value), plain((value, value, 255 - value))) for value in range(0, 250, 25)]
    found = [each for chunk in tagger.score(pictures, lambda each: each, batch_size=4) for each in chunk]
    assert [each.key for each in found] == [key for key, _ in pictures]
    for each in found:
        assert each.scores.get("red theme", 0) == pytest.approx(sigmoid((int(each.key) - 127.5) / 16), abs=0.01)


def test_batches_are_no_larger_than_asked_and_pictures_are_decoded_in_other_threads(tiny: Make) -> None:
    tagger, threads = load_tagger(str(tiny()), "cpu"), set()

    def load(value: int) -> Image.Image:
        threads.add(threading.current_thread().name)
        return plain((value, 0, 0))

    sizes = [len(chunk) for chunk in tagger.score([(str(each), each) for each in range(10)], load, 4, decoders=2)]
    assert sizes == [4, 4, 2]
    assert all(name.startswith("decode") for name in threads)


def test_only_a_few_batches_are_decoded_ahead(tiny: Make) -> None:
    tagger, loaded = load_tagger(str(tiny()), "cpu"), []

    def load(value: int) -> Image.Image:
        loaded.append(value)
        return plain((value, 0, 0))

    scoring = tagger.score(((str(each), each) for each in range(100)), load, 2)
    next(scoring)
    assert len(loaded) <= 6
    scoring.close()
    assert len(loaded) <= 8


def test_a_picture_that_cannot_be_decoded_is_told_and_the_others_are_scored(tiny: Make) -> None:
    def load(value: int) -> Image.Image:
        if value in (1, 4):
            raise OSError(f"picture {value} is truncated")
        return plain((value * 40, 0, 0))

    tagger = load_tagger(str(tiny()), "cpu")
    found = [each for chunk in tagger.score([(str(each), each) for each in range(5)], load, 2) for each in chunk]
    assert [each.problem for each in found] == ["", "picture 1 is truncated", "", "", "picture 4 is truncated"]
    assert [bool(each.scores) for each in found] == [True, False, True, True, False]


def test_a_label_file_that_does_not_fit_is_refused_with_both_numbers(tiny: Make) -> None:
    folder = tiny(outputs=12)
    with pytest.raises(TaggerError) as caught:
        load_tagger(str(folder), "cpu")
    assert caught.value.message == "tiny gives 12 scores a picture, but selected_tags.csv has 10 labels"
    assert caught.value.hint == "use the selected_tags.csv that belongs to this model"


def test_a_model_whose_kind_does_not_show_is_refused_with_what_to_write(tiny: Make) -> None:
    folder = tiny(layout="NCHW")
    with pytest.raises(TaggerError, match="holds no tagger of the WD family") as caught:
        load_tagger(str(folder), "cpu")
    assert "model.toml beside it" in caught.value.hint and 'layout = "NCHW"' in caught.value.hint
    other = tiny("columns")
    write_labels(other, header="id,name,category,ips")
    with pytest.raises(TaggerError, match="holds no tagger of the WD family"):
        load_tagger(str(other), "cpu")


def test_logits_are_not_taken_for_probabilities_nor_the_other_way_round(tiny: Make) -> None:
    with pytest.raises(TaggerError, match=r"gives scores from -9\.00 to 7\.97, not probabilities") as caught:
        load_tagger(str(tiny(logits=True)), "cpu")
    assert 'activation = "sigmoid"' in caught.value.hint


def test_a_model_with_a_free_side_needs_the_side_in_model_toml(tiny: Make) -> None:
    folder = tiny(side="S")
    with pytest.raises(TaggerError, match="a square side from 16 to 4096 is needed") as caught:
        load_tagger(str(folder), "cpu")
    assert "side = 448" in caught.value.hint
    (folder / "model.toml").write_text("side = 48\n", encoding="utf-8")
    assert load_tagger(str(folder), "cpu").side == 48


def test_a_batch_that_does_not_fit_into_memory_is_halved(tiny: Make) -> None:
    class Narrow:
        def run(self, names: list[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
            (values,) = feed.values()
            if len(values) > 2:
                raise RuntimeError("Failed to allocate memory for requested buffer")
            return [np.full((len(values), 10), 0.5, np.float32)]

    from dataclasses import replace

    tagger = load_tagger(str(tiny()), "cpu")
    narrow = replace(tagger, session=replace(tagger.session, runtime=Narrow()))
    pictures = [(str(each), plain((0, 0, 0))) for each in range(7)]
    assert [len(chunk) for chunk in narrow.score(pictures, lambda each: each, 7)] == [7]


def test_transparency_is_seen_on_white(tiny: Make) -> None:
    clear = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0))
    assert score_one(load_tagger(str(tiny()), "cpu"), clear)["bright"] > 0.99


def test_the_embedded_tagger_sees_who_was_painted() -> None:
    from dataclasses import replace

    from train.miniature.painter import paint
    from train.miniature.scenes import CHARACTERS, random_scene

    scene = random_scene(np.random.default_rng(3), known=0)
    scene = replace(scene, girls=(CHARACTERS["Lumi"],), framing="portrait", size=(64, 64))
    scores = score_one(load_tagger("miniature", "cpu"), paint(scene, 4.0))
    assert min(scores[tag] for tag in ("white hair", "red eyes", "witch hat", "1girl", "portrait")) > 0.5
