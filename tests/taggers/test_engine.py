from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_tagger import SIDE, STORED, plain, sigmoid, write_labels
from tolerance import rounding

from taggers.engine import FLOOR, OnnxTagger, load_tagger
from taggers.errors import TaggerError
from taggers.inference import suspicion
from taggers.resize import Feed, least_size, square
from taggers.spec import ModelSpec

Make = Callable[..., Path]


def score_one(tagger: OnnxTagger, image: Image.Image) -> dict[str, float]:
    ((found,),) = tagger.score([("key", image)], lambda each: each)
    assert not found.problem
    return dict(found.scores)


def test_a_red_image_is_red_because_the_model_gets_blue_green_red(tiny: Make) -> None:
    scores = score_one(load_tagger(str(tiny()), "cpu"), plain((200, 30, 60)))
    assert scores["red theme"] == pytest.approx(sigmoid((200 - 127.5) / 16), abs=STORED)
    assert scores["blue theme"] == pytest.approx(sigmoid((60 - 127.5) / 16), abs=STORED)
    assert "green theme" not in scores, "0.002 is below what is stored"


def test_scores_come_most_probable_first_and_kaomoji_keep_their_underscore(tiny: Make) -> None:
    scores = score_one(load_tagger(str(tiny()), "cpu"), plain((255, 255, 255)))
    assert list(scores.values()) == sorted(scores.values(), reverse=True)
    assert scores[">_<"] == pytest.approx(sigmoid(2), abs=STORED)
    assert scores["somebody (test)"] == pytest.approx(sigmoid(4), abs=STORED)


def test_a_wide_image_is_padded_with_white_before_it_is_resized(tiny: Make) -> None:
    scores = score_one(load_tagger(str(tiny()), "cpu"), plain((0, 0, 0), (64, 32)))
    assert scores["bright"] == pytest.approx(sigmoid((255 / 2 - 127.5) / 16), abs=STORED)


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
    image = plain((90, 140, 200), (50, 64))
    expected = score_one(load_tagger(str(tiny("wd")), "cpu"), image)
    other = tiny("other", layout="NCHW", logits=True)
    (other / "model.toml").write_text('layout = "NCHW"\nactivation = "sigmoid"\n', encoding="utf-8")
    assert score_one(load_tagger(str(other), "cpu"), image) == pytest.approx(expected, abs=2 * STORED)


@pytest.mark.parametrize("batch", [1, 3, "N"])
def test_any_batch_size_gives_the_same_scores_in_the_same_order(tiny: Make, batch: int | str) -> None:
    tagger = load_tagger(str(tiny(batch=batch)), "cpu")
    images = [(str(value), plain((value, value, 255 - value))) for value in range(0, 250, 25)]
    found = [each for chunk in tagger.score(images, lambda each: each, batch_size=4) for each in chunk]
    assert [each.key for each in found] == [key for key, _ in images]
    for each in found:
        assert each.scores.get("red theme", 0) == pytest.approx(sigmoid((int(each.key) - 127.5) / 16), abs=FLOOR)


def test_batches_are_no_larger_than_asked_and_images_are_decoded_in_other_threads(tiny: Make) -> None:
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


def test_an_image_that_cannot_be_decoded_is_reported_and_the_others_are_scored(tiny: Make) -> None:
    def load(value: int) -> Image.Image:
        if value in (1, 4):
            raise OSError(f"image {value} is truncated")
        return plain((value * 40, 0, 0))

    tagger = load_tagger(str(tiny()), "cpu")
    found = [each for chunk in tagger.score([(str(each), each) for each in range(5)], load, 2) for each in chunk]
    assert [each.problem for each in found] == ["", "image 1 is truncated", "", "", "image 4 is truncated"]
    assert [bool(each.scores) for each in found] == [True, False, True, True, False]


def test_a_label_file_that_does_not_fit_is_refused_with_both_numbers(tiny: Make) -> None:
    folder = tiny(outputs=12)
    with pytest.raises(TaggerError) as caught:
        load_tagger(str(folder), "cpu")
    assert caught.value.message == "tiny gives 12 scores an image, but selected_tags.csv has 10 labels"
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


class Narrow:
    """A session whose device has room for two images; it warnings the sizes of the batches it was given."""

    def __init__(self, words: str = "Failed to allocate memory for requested buffer") -> None:
        self.words, self.seen = words, list[int]()

    def run(self, names: list[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        (values,) = feed.values()
        self.seen.append(len(values))
        if len(values) > 2:
            raise RuntimeError(self.words)
        return [np.full((len(values), 10), 0.5, np.float32)]


@pytest.mark.parametrize(
    "words", ["Failed to allocate memory for requested buffer", "CUDA failure 2: out of memory", "std::bad_alloc"]
)
def test_a_batch_that_does_not_fit_into_memory_is_halved_and_stays_so(tiny: Make, words: str) -> None:
    tagger, runtime = load_tagger(str(tiny()), "cpu"), Narrow(words)
    narrow = replace(tagger, session=replace(tagger.session, runtime=runtime))
    images = [(str(each), plain((0, 0, 0))) for each in range(14)]
    chunks = list(narrow.score(images, lambda each: each, 7))
    assert [len(chunk) for chunk in chunks] == [7, 7]
    assert all(each.scores for chunk in chunks for each in chunk)
    assert runtime.seen == [7, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], "one failure at each size, then none"


def test_a_device_without_room_for_one_image_and_another_failure_are_errors(tiny: Make) -> None:
    tagger = load_tagger(str(tiny()), "cpu")

    class Broken:
        def run(self, names: list[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
            raise RuntimeError("Non-zero status code returned while running Conv node\nmore")

    broken = replace(tagger, session=replace(tagger.session, runtime=Broken()))
    with pytest.raises(TaggerError, match="tiny failed on a batch of 1: Non-zero status code returned") as caught:
        list(broken.score([("a", plain((0, 0, 0)))], lambda each: each))
    assert caught.value.hint == "try --device cpu, or fetch the model again"
    fixed = load_tagger(str(tiny("fixed", batch=4)), "cpu")
    narrow = replace(fixed, session=replace(fixed.session, runtime=Narrow()))
    with pytest.raises(TaggerError, match="Failed to allocate") as caught:
        list(narrow.score([("a", plain((0, 0, 0)))], lambda each: each))
    assert caught.value.hint == "try --device cpu, or a smaller model"


def test_stopped_in_the_middle_what_was_given_before_is_whole_and_no_thread_is_left(tiny: Make) -> None:
    tagger = load_tagger(str(tiny()), "cpu")

    class Stopped:
        runs = 0

        def run(self, names: list[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
            self.runs += 1
            if self.runs == 3:
                raise KeyboardInterrupt
            return tagger.session.runtime.run(names, feed)

    stopped = replace(tagger, session=replace(tagger.session, runtime=Stopped()))
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        for chunk in stopped.score([(str(each), plain((each, 0, 0))) for each in range(100)], lambda each: each, 2):
            done += [each.key for each in chunk]
    assert done == ["0", "1", "2", "3"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def reference(image: Image.Image, side: int) -> np.ndarray:
    """SmilingWolf/wd-tagger's preparation, as its description says: white behind and around, bicubic, BGR, 0–255."""
    white = Image.new("RGBA", image.size, (255, 255, 255))
    white.alpha_composite(image.convert("RGBA"))
    longest = max(image.size)
    canvas = Image.new("RGB", (longest, longest), (255, 255, 255))
    canvas.paste(white.convert("RGB"), ((longest - image.width) // 2, (longest - image.height) // 2))
    if longest != side:
        canvas = canvas.resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(canvas, np.float32)[None, :, :, ::-1]


@settings(max_examples=40)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from(["RGB", "RGBA"]), st.integers(0, 2**32 - 1))
def test_the_wd_input_equals_the_reference_to_the_bit(width: int, height: int, mode: str, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, len(mode)), np.uint8)
    image, spec = Image.fromarray(pixels), ModelSpec(name="wd")
    assert np.array_equal(Feed(spec)(square(image, SIDE, spec)[None]), reference(image, SIDE))


@settings(max_examples=40)
@given(
    st.tuples(*[st.floats(0, 1)] * 3),
    st.tuples(*[st.floats(0.1, 2)] * 3),
    st.sampled_from(["BGR", "RGB"]),
    st.sampled_from(["NHWC", "NCHW"]),
    st.sampled_from([1.0, 255.0]),
)
def test_pixels_reach_a_model_by_the_formula(
    mean: tuple[float, float, float], std: tuple[float, float, float], channels: str, layout: str, scale: float
) -> None:
    spec = ModelSpec(name="x", mean=mean, std=std, channels=channels, layout=layout, scale=scale)  # type: ignore[arg-type]
    image = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), np.uint8)
    expected = (image / 255 * scale - np.array(mean)) / np.array(std)
    given_ = image if channels == "RGB" else image[..., ::-1]
    found = Feed(spec)(given_)
    expected = expected if channels == "RGB" else expected[..., ::-1]
    expected = expected if layout == "NHWC" else expected.transpose(0, 3, 1, 2)
    assert found.dtype == np.float32 and found.flags.c_contiguous
    assert found == pytest.approx(expected, abs=rounding(4) * 255 / min(std)), "of what the mean is taken from"


def test_the_formula_worked_by_hand() -> None:
    spec = ModelSpec(name="x", mean=(0.5, 0.5, 0.5), std=(0.25, 0.5, 0.5), scale=1.0, channels="RGB", layout="NCHW")
    found = Feed(spec)(np.array([[[[255, 0, 51]]]], np.uint8))
    assert found.ravel() == pytest.approx([(1 - 0.5) / 0.25, -1.0, (0.2 - 0.5) / 0.5])


@pytest.mark.parametrize(
    ("pad", "canvas", "size", "least"),
    [
        ((255, 255, 255), 0, (4000, 3000), (896, 672)),
        ((255, 255, 255), 0, (100, 1000), (90, 896)),
        (None, 0, (4000, 3000), (896, 896)),
        ((0, 0, 0), 512, (4000, 3000), (1024, 768)),
    ],
)
def test_an_image_is_never_decoded_below_twice_what_the_model_sees(
    pad: tuple[int, int, int] | None, canvas: int, size: tuple[int, int], least: tuple[int, int]
) -> None:
    assert least_size(size, 448, ModelSpec(name="x", pad=pad, canvas=canvas), 2) == least


def test_a_second_sigmoid_inside_a_model_is_suspected() -> None:
    probable = np.full((1, 100), 0.01, np.float32)
    twice = 1 / (1 + np.exp(-probable))
    assert suspicion(probable, ModelSpec(name="x")) == ""
    assert "as if a sigmoid was taken twice" in suspicion(twice, ModelSpec(name="x"))
    assert suspicion(twice[:, :10], ModelSpec(name="x")) == "", "ten labels may all hold"


def test_transparency_is_seen_on_white(tiny: Make) -> None:
    clear = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0))
    assert score_one(load_tagger(str(tiny()), "cpu"), clear)["bright"] > 0.99


def test_the_embedded_tagger_sees_who_was_painted() -> None:
    from train.miniature.painter import paint
    from train.miniature.scenes import CHARACTERS, random_scene

    scene = random_scene(np.random.default_rng(3), known=0)
    scene = replace(scene, girls=(CHARACTERS["Lumi"],), framing="portrait", size=(64, 64))
    scores = score_one(load_tagger("miniature", "cpu"), paint(scene, 4.0))
    assert min(scores[tag] for tag in ("white hair", "red eyes", "witch hat", "1girl", "portrait")) > 0.5
