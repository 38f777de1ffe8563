import io
from dataclasses import replace

import numpy as np
import pytest
from painted_sets import painted, save
from PIL import Image as Images
from PIL import ImageEnhance

from pipeline.images.duplicates import (
    FINGERPRINT_BYTES,
    LUMA,
    Alike,
    Similarity,
    area_means,
    find_duplicates,
    fingerprint,
    local_change,
    read_fingerprints,
)
from pipeline.images.measurement import figures, halved, measure_image
from pipeline.store.records import Image, Measurement
from train.miniature.painter import paint
from train.miniature.scenes import CHARACTERS, EXPRESSIONS, GARMENT_COLOURS, random_scene

USUAL = Similarity(15, 5.0)


def saved_again(img, quality, factor=1.0):
    stream = io.BytesIO()
    size = (round(img.width * factor), round(img.height * factor))
    img.resize(size, Images.Resampling.BICUBIC).save(stream, "JPEG", quality=quality)
    return Images.open(io.BytesIO(stream.getvalue())).convert("RGB")


def copies_of(imgs, similarity=USUAL, preferred=lambda image: False, **more):
    """{loser: keeper} among images by name."""
    images, measured = [], {}
    for name, img in imgs.items():
        measured[name] = Measurement(name, img.width, img.height, **figures(img))
        images.append(Image(name, "", name, name, 1, ""))
    return {
        copy.loser.path: copy.keeper.path for copy in find_duplicates(images, measured, similarity, preferred, **more)
    }


@pytest.mark.parametrize(
    ("how", "change"),
    {
        "JPEG 90": lambda img: saved_again(img, 90),
        "JPEG 60": lambda img: saved_again(img, 60),
        "half": lambda img: saved_again(img, 90, 0.5),
        "eight tenths": lambda img: saved_again(img, 62, 0.8),
        "half as large again": lambda img: saved_again(img, 90, 1.5),
        "darker": lambda img: ImageEnhance.Brightness(img).enhance(0.92),
        "more contrast": lambda img: ImageEnhance.Contrast(img).enhance(1.1),
        "moved by a pixel": lambda img: img.transform(img.size, 0, (1, 0, 1, 0, 1, 1)),
    }.items(),
)
def test_an_image_saved_again_is_a_near_duplicate(how, change):
    for seed in range(4):
        original = painted(seed, 8)
        assert len(copies_of({"a": original, "b": change(original)})) == 1, (how, seed)


def test_of_five_codings_of_one_image_the_lossless_one_is_kept(tmp_path):
    for seed in range(4):
        original = painted(seed, 8)
        original.save(tmp_path / "a.gif")
        original.save(tmp_path / "a.jpg", quality=95)
        original.save(tmp_path / "b.jpg", quality=60)
        original.save(tmp_path / "a.webp", quality=40)
        save(original, tmp_path / "a.png")
        measured = {path.name: measure_image(path, path.name) for path in tmp_path.iterdir()}
        images = [Image(name, "", name, name, 1, "") for name in measured]
        copies = find_duplicates(images, measured, USUAL, lambda image: False)
        assert {copy.loser.path: copy.keeper.path for copy in copies} == dict.fromkeys(
            ("a.gif", "a.jpg", "b.jpg", "a.webp"), "a.png"
        )


def test_another_expression_in_the_colours_of_a_palette_is_another_image(tmp_path):
    scene = replace(random_scene(np.random.default_rng(1)), girls=(CHARACTERS[sorted(CHARACTERS)[1]],))
    first, second = [replace(scene.girls[0], expression=each) for each in list(EXPRESSIONS)[:2]]
    paint(replace(scene, girls=(first,)), 6.0).save(tmp_path / "a.gif")
    paint(replace(scene, girls=(second,)), 6.0).save(tmp_path / "a.png")
    measured = {path.name: measure_image(path, path.name) for path in tmp_path.iterdir()}
    images = [Image(name, "", name, name, 1, "") for name in measured]
    assert find_duplicates(images, measured, USUAL, lambda image: False) == []


def test_another_expression_or_colour_or_scene_is_another_image():
    names = sorted(CHARACTERS)
    for seed in range(4):
        scene = replace(random_scene(np.random.default_rng(seed)), girls=(CHARACTERS[names[seed]],))
        girl = scene.girls[0]
        colour = next(colour for colour in GARMENT_COLOURS if colour != girl.colour)
        others = [replace(girl, expression=expression) for expression in EXPRESSIONS if expression != girl.expression]
        girls = [girl, *others, replace(girl, colour=colour)]
        imgs = {str(place): paint(replace(scene, girls=(one,)), 6.0) for place, one in enumerate(girls)}
        assert copies_of(imgs) == {}
        assert copies_of(imgs, Similarity(31, 1000.0)), "found once every change may stand out"


def test_the_same_scene_by_night_is_another_image():
    day = painted(2, 6)
    night = ImageEnhance.Brightness(day).enhance(0.5)
    assert copies_of({"day": day, "night": night}) == {}


def test_the_preferred_then_the_larger_then_the_sharper_image_is_kept():
    small = painted(4, 6)
    large = small.resize((small.width * 2, small.height * 2), Images.Resampling.LANCZOS)
    assert copies_of({"a": small, "b": large}) == {"a": "b"}
    assert copies_of({"a": small, "b": large}, preferred=lambda image: image.path == "a") == {"b": "a"}
    soft = saved_again(saved_again(small, 95, 0.5), 95, 2)
    assert copies_of({"a": soft, "b": small}) == {"a": "b"}


def test_what_may_not_keep_is_dropped_for_what_may_and_never_for_its_like():
    small, large = painted(4, 6), painted(4, 12)
    reg_images = {"a": small, "regularization": large, "regularization image again": large.resize(small.size)}
    found = copies_of(reg_images, may_keep=lambda image: image.path == "a")
    assert found == {"regularization": "a", "regularization image again": "a"}
    del reg_images["a"]
    assert copies_of(reg_images, may_keep=lambda image: False) == {}


def test_equal_reg_images_of_a_near_image_are_all_found():
    measured = {
        "t": Measurement("t", 100, 100, **figures(painted(4, 6))),
        "x": Measurement("x", 50, 50, **figures(painted(4, 3))),
    }
    images = [Image(path, "", path, content, 1, "") for path, content in (("t", "t"), ("x1", "x"), ("x2", "x"))]
    found = find_duplicates(images, measured, USUAL, lambda image: False, lambda image: image.path == "t")
    assert {(copy.loser.path, copy.keeper.path, copy.near) for copy in found} == {("x1", "t", True), ("x2", "t", True)}


def test_flat_images_and_other_shapes_are_not_compared():
    assert copies_of({"a": Images.new("RGB", (90, 90), "red"), "b": Images.new("RGB", (80, 80), "red")}) == {}
    img = painted(6, 6)
    stretched = img.resize((img.width, round(img.height * 1.1)))
    assert copies_of({"a": img, "b": stretched}) == {}


def test_means_over_parts_are_those_worked_by_hand_even_between_pixels():
    grey = np.array([[0, 30, 60], [90, 120, 150]], dtype=np.uint8)
    assert area_means(grey, (3, 2), 1).tolist() == [[75.0]]
    # two parts of one pixel and a half each: (0 + 30 / 2) / 1.5, (30 / 2 + 60) / 1.5
    assert area_means(grey[:1], (3, 1), 2)[0].tolist() == [10.0, 50.0]


def test_means_are_numbers_where_halving_left_out_much_of_a_thin_image():
    means = area_means(np.full((350, 2), 9, dtype=np.uint8), (5, 700), LUMA)
    assert means.shape == (28, 28) and means == pytest.approx(9)


def test_means_do_not_care_how_often_an_image_was_halved():
    rng = np.random.default_rng(3)
    large = np.kron(rng.integers(0, 256, (46, 45), dtype=np.uint8), np.ones((23, 23), dtype=np.uint8))
    downscaled = halved(large)
    assert downscaled.shape[0] < large.shape[0] // 2
    exact = area_means(large, (large.shape[1], large.shape[0]), LUMA)
    assert np.abs(area_means(downscaled, (large.shape[1], large.shape[0]), LUMA) - exact).max() < 5


def test_a_fingerprint_is_read_as_it_was_written():
    colours = np.full((40, 40, 3), (255, 0, 0), dtype=np.uint8)
    written = fingerprint(np.full((40, 40), 76, dtype=np.uint8), colours, (40, 40))
    luma, chroma = read_fingerprints([written, written])
    assert luma.shape == (2, 784) and chroma.shape == (2, 128) and FINGERPRINT_BYTES == 912
    assert (luma == 76).all() and set(chroma[0].tolist()) == {255.0, 85.0}  # Cr, Cb of red by ITU-R BT.601


def test_what_changes_one_spot_stands_out():
    luma = np.zeros(100, dtype=np.float32)
    luma[::2] = 50
    spot, everywhere = luma.copy(), luma * 1.2 + 10
    spot[7] = 60
    found = local_change(luma, np.stack([luma, everywhere, spot]))
    assert found[0] == 0 and found[1] == pytest.approx(0, abs=1e-4)
    # by hand: residuals of the line through (0, 1.2) and (50, 50) are 58.8 once and -1.2 on the other 49 at 0
    assert found[2] == pytest.approx(58.8 / (1 + ((58.8**2 + 49 * 1.2**2) / 100) ** 0.5), rel=1e-4)


def test_thousands_of_others_are_compared_a_few_at_a_time():
    grey = np.random.default_rng(0).integers(0, 256, (30, 30), dtype=np.uint8)
    written = fingerprint(grey, np.dstack([grey] * 3), (30, 30))
    alike = Alike(np.ones(9000), (written,) * 9000, np.zeros(9000, dtype=bool), 5.0)
    assert alike(0, np.arange(1, 9000)).all()
