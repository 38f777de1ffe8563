import cv2
import numpy as np
import pytest
from painted_sets import painted, save
from PIL import Image, ImageFilter

from pipeline.core.image_io import UnreadableImage
from pipeline.images.buckets.detail_profile import LENGTH
from pipeline.images.measurement import bars, figures, halved, measure_image, measuring_many, perceptual_hash


def distance(one, other):
    return (int(figures(one)["phash"], 16) ^ int(figures(other)["phash"], 16)).bit_count()


def test_blur_lowers_sharpness_and_size_hardly_matters():
    for seed in range(4):
        sharp, large = figures(painted(seed, 4))["sharpness"], figures(painted(seed, 12))["sharpness"]
        blurred = figures(painted(seed, 4).filter(ImageFilter.GaussianBlur(8)))["sharpness"]
        assert blurred < 20 < sharp and large > 20


def test_sharpness_and_contrast_are_those_worked_by_hand():
    stripes = np.zeros((8, 8, 3), dtype=np.uint8)
    stripes[:, 4:] = 100
    found = figures(Image.fromarray(stripes))
    # the Laplacian is 100 in column 3, -100 in column 4, else 0: its variance is 2 * 100² / 8
    assert found["sharpness"] == pytest.approx(2500) and found["contrast"] == pytest.approx(50)


def test_a_flat_image_has_no_contrast_and_nothing_to_hash():
    flat = figures(Image.new("RGB", (64, 64), "red"))
    assert flat["contrast"] == 0 and flat["hash_quality"] == 0
    assert figures(painted(1))["contrast"] > 20 and figures(painted(1))["hash_quality"] == 100


def test_hashes_of_a_reduced_and_recompressed_copy_stay_near_and_others_far(tmp_path):
    original = painted(5, 6)
    original.resize((original.width // 2, original.height // 2)).save(tmp_path / "a.jpg", quality=60)
    assert len(figures(original)["phash"]) == 64
    assert distance(original, Image.open(tmp_path / "a.jpg").convert("RGB")) <= 10
    assert distance(original, painted(6, 6)) > 60


def test_a_hash_is_even_of_ones_and_zeros_and_of_no_use_where_there_is_nothing():
    grey = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    phash, quality = perceptual_hash(grey)
    assert int(phash, 16).bit_count() == 128 and quality == 100  # PDQ cuts its coefficients at their median
    assert perceptual_hash(np.full((64, 64), 9, dtype=np.uint8))[1] == 0


def test_halving_takes_the_mean_of_four_and_stops_above_the_working_side():
    grey = np.arange(1024 * 600, dtype=np.uint32).reshape(600, 1024).astype(np.uint8)
    assert halved(grey).shape == (150, 256)
    assert halved(np.zeros((511, 511), dtype=np.uint8)).shape == (511, 511)
    assert halved(np.zeros((1, 4000), dtype=np.uint8)).shape == (1, 4000)
    odd = halved(np.full((513, 700), 7, dtype=np.uint8))
    assert odd.shape == (256, 350) and (odd == 7).all()
    quarters = np.zeros((2, 512), dtype=np.uint8)
    quarters[0, :2] = 100, 60
    assert halved(quarters)[0, 0] == 40


def test_a_measurement_says_what_was_seen(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.new("RGBA", (40, 20), (1, 2, 3, 0)).save(tmp_path / "a.png", exif=exif)
    found = measure_image(tmp_path / "a.png", "c")
    assert (found.width, found.height, found.format, found.mode) == (20, 40, "PNG", "RGBA")
    assert found.orientation == 8 and found.transparent and found.hidden == 1 and not found.problem
    assert found.frames == 1 and found.bits == 8 and found.profile == "" and len(found.focus) == LENGTH


def test_hidden_colours_are_those_of_clear_pixels_that_are_not_white(tmp_path):
    image = Image.new("RGBA", (10, 10), (255, 255, 255, 0))
    image.paste((9, 9, 9, 0), (0, 0, 10, 3))
    image.paste((9, 9, 9, 1), (0, 9, 10, 10))
    image.save(tmp_path / "a.png")
    assert measure_image(tmp_path / "a.png", "c").hidden == 0.3
    assert not measure_image(save(Image.new("RGBA", (4, 4), "red"), tmp_path / "b.png"), "c").transparent


def test_bits_and_profile_are_measured(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 4, 3), np.uint16))
    painted(1).save(tmp_path / "b.png", icc_profile=b"nonsense")
    assert measure_image(tmp_path / "a.png", "c").bits == 16
    assert measure_image(tmp_path / "b.png", "c").profile == "broken"


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_an_animation_counts_its_frames(tmp_path, kind):
    painted(1).save(tmp_path / f"a.{kind}", save_all=True, append_images=[painted(2).resize(painted(1).size)])
    assert measure_image(tmp_path / f"a.{kind}", "c").frames == 2


def barred(left, top, right, bottom, scale=8, colour=(0, 0, 0)):
    image = painted(3, scale)
    size = (image.width + left + right, image.height + top + bottom)
    framed = Image.new("RGB", size, colour)
    framed.paste(image, (left, top))
    return framed


def bars_of(image):
    found = figures(image)
    return tuple(found[f"bar_{side}"] for side in ("left", "top", "right", "bottom"))


@pytest.mark.parametrize("widths", [(0, 90, 0, 91), (61, 0, 60, 0), (40, 55, 41, 56), (0, 0, 0, 0), (0, 70, 0, 0)])
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 30, 90)])
def test_bars_are_measured_to_the_pixel(widths, colour):
    rng = np.random.default_rng(0)
    inside = Image.fromarray(rng.integers(40, 200, (700, 900, 3), dtype=np.uint8)).filter(ImageFilter.GaussianBlur(2))
    framed = Image.new("RGB", (900 + widths[0] + widths[2], 700 + widths[1] + widths[3]), colour)
    framed.paste(inside, (widths[0], widths[1]))
    assert bars_of(framed) == widths


def test_bars_saved_as_jpeg_are_measured_to_within_a_block(tmp_path):
    barred(0, 80, 0, 80).save(tmp_path / "a.jpg", quality=70)
    found = measure_image(tmp_path / "a.jpg", "c")
    assert 78 <= found.bar_top <= 80 and 78 <= found.bar_bottom <= 80 and found.bar_left == found.bar_right == 0


def test_an_empty_background_is_no_bar():
    image = Image.new("RGB", (600, 800), "white")
    image.paste(painted(2, 3).crop((60, 60, 160, 200)).resize((200, 300)), (200, 250))
    assert bars_of(image) == (0, 0, 0, 0)
    assert bars(np.full((40, 60, 3), 5, np.uint8), np.full((40, 60), 5, np.uint8)) == (0, 0, 0, 0)


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (2, 3), (700, 5)])
def test_images_of_any_shape_are_measured(tmp_path, size):
    found = measure_image(save(Image.new("RGB", size, "red"), tmp_path / "a.png"), "c")
    assert (found.width, found.height) == size and not found.problem and found.phash and found.fingerprint


def test_an_image_that_cannot_be_decoded_is_measured_as_such_with_the_size_it_claims(tmp_path):
    whole = save(painted(1, 4), tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    found = measure_image(tmp_path / "cut.png", "c")
    assert found.problem.startswith("truncated") and (found.width, found.height) == painted(1, 4).size


def test_the_last_bytes_of_a_jpeg_are_missed(tmp_path):
    whole = save(painted(1, 6), tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[:-200])
    assert measure_image(tmp_path / "a.jpg", "c").problem.startswith("truncated")


def test_a_missing_file_says_nothing_about_its_content(tmp_path):
    with pytest.raises(UnreadableImage):
        measure_image(tmp_path / "gone.png", "c")


def test_settings_of_the_process_are_put_back_after_measuring_many():
    threads, blocks = cv2.getNumThreads(), Image.core.get_blocks_max()
    with pytest.raises(KeyboardInterrupt), measuring_many(3):
        assert cv2.getNumThreads() == 1 and Image.core.get_blocks_max() == 6
        raise KeyboardInterrupt
    assert (cv2.getNumThreads(), Image.core.get_blocks_max()) == (threads, blocks)
