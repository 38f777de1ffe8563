import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painted_sets import painted, save
from PIL import Image, ImageFilter

from pipeline.core.decoding.image_io import UnreadableImage, load_rgb
from pipeline.core.decoding.jpeg import has_warnings, sound_pixels
from pipeline.core.decoding.jpeg_scan import lost_share
from pipeline.images.buckets.detail_profile import LENGTH
from pipeline.images.coding import quality_rank
from pipeline.images.measurement import bars, figures, halved, measure_image, measuring_many, perceptual_hash
from pipeline.store.records import Measurement


def jpeg(image, **options):
    stream = io.BytesIO()
    image.save(stream, "JPEG", **options)
    return stream.getvalue()


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
    assert measure_image(tmp_path / "a.jpg", "c").problem.startswith("damaged: about ")


def test_a_jpeg_that_lacks_its_end_mark_alone_is_whole_and_is_decoded_so(tmp_path):
    file = save(painted(1, 6), tmp_path / "a.jpg")
    before, pixels = measure_image(file, "c"), load_rgb(file).tobytes()
    file.write_bytes(file.read_bytes()[:-2])
    assert measure_image(file, "c") == before and not before.problem and load_rgb(file).tobytes() == pixels


@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"quality": 95, "subsampling": 0}])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.8])
def test_of_half_a_download_is_said_how_much_is_lost_whatever_ends_it(tmp_path, options, share):
    whole = jpeg(painted(3, 8), **options)
    for end in (b"", b"\xff\xd9"):
        (tmp_path / "a.jpg").write_bytes(whole[: int(len(whole) * share)] + end)
        words = measure_image(tmp_path / "a.jpg", "c").problem
        assert words.startswith("damaged: about ")
        assert abs(int(words.split("about ")[1].split("%")[0]) / 100 - (1 - share)) < 0.2


@pytest.mark.parametrize("harm", [b"\0" * 600, bytes(range(1, 251)) * 3])
@pytest.mark.parametrize("replaced", [0, 600])
def test_garbage_and_zeros_within_the_data_are_damage(tmp_path, harm, replaced):
    for seed in range(3):
        whole = jpeg(painted(seed, 8))
        middle = len(whole) // 2
        (tmp_path / "a.jpg").write_bytes(whole[:middle] + harm + whole[middle + replaced :])
        assert measure_image(tmp_path / "a.jpg", "c").problem.startswith("damaged: about ")


def test_restart_markers_limit_what_is_lost():
    whole = jpeg(painted(3, 8), restart_marker_rows=1)
    middle = whole.index(b"\xff\xd3") + 30
    assert 0 < lost_share(whole[:middle] + whole[middle + 40 :]) < 0.15, "one of many lines of units"
    assert lost_share(whole) == 0.0


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 1}, {"restart_marker_blocks": 7}])
def test_nothing_is_lost_of_a_whole_jpeg(mode, options):
    for size in ((8, 8), (17, 33), (500, 333)):
        whole = jpeg(painted(5).convert(mode).resize(size), **options)
        assert lost_share(whole) == 0.0 == lost_share(whole + b"\0")
        assert mode == "CMYK" or not (has_warnings(whole) or has_warnings(whole[:-2]))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"subsampling": 0}, {"subsampling": 1}, {"restart_marker_blocks": 7}, {"quality": 30}],
)
def test_a_jpeg_without_damage_is_measured_by_the_pixels_that_pillow_makes_of_it(tmp_path, mode, options):
    for size in ((1, 1), (17, 33), (501, 334), (1030, 520)):
        whole = jpeg(painted(5).convert(mode).resize(size), **options)
        (tmp_path / "a.jpg").write_bytes(whole)
        colours = load_rgb(tmp_path / "a.jpg")
        pixels = sound_pixels(whole, mode)
        assert pixels is not None and (pixels == np.asarray(colours)).all()
        found = measure_image(tmp_path / "a.jpg", "c")
        assert {name: getattr(found, name) for name in figures(colours)} == figures(colours)


def test_pixels_of_a_jpeg_that_lacks_its_end_or_has_other_inks_are_left_to_pillow():
    whole = jpeg(painted(3, 8))
    middle = len(whole) // 2
    assert sound_pixels(whole[:-2], "RGB") is None and sound_pixels(b"", "RGB") is None
    assert sound_pixels(whole[:middle] + bytes(600) + whole[middle + 600 :], "RGB") is None
    assert sound_pixels(jpeg(painted(3).convert("CMYK")), "CMYK") is None


def test_a_progressive_jpeg_without_its_last_scans_has_lost_detail_everywhere():
    whole = jpeg(painted(3, 8), progressive=True)
    assert lost_share(whole[: len(whole) // 2]) == 1.0
    assert lost_share(whole[: whole.rindex(b"\xff\xda")] + b"\xff\xd9") == 1.0, "a scan is missing, none breaks off"


def test_bytes_behind_the_end_are_no_damage(tmp_path):
    file = save(painted(1, 6), tmp_path / "a.jpg")
    file.write_bytes(file.read_bytes() + b"\0" * 512)
    assert not measure_image(file, "c").problem


def test_what_is_no_jpeg_cannot_be_judged():
    assert lost_share(b"") is None and lost_share(b"\xff\xd8" + b"x" * 100) is None


@given(st.binary(max_size=400), st.integers(0, 3000))
@settings(max_examples=60, deadline=None)
def test_any_bytes_in_a_jpeg_are_judged_without_an_error(junk, place):
    whole = jpeg(painted(2))
    assert 0.0 <= (lost_share(whole[:place] + junk + whole[place:]) or 0.0) <= 1.0


def test_the_quality_of_a_jpeg_and_how_others_are_coded_are_known(tmp_path):
    image = painted(4)
    for quality in (20, 50, 75, 95):
        image.save(tmp_path / "a.jpg", quality=quality)
        found = measure_image(tmp_path / "a.jpg", "c")
        assert (found.coding, found.jpeg_quality) == ("lossy", pytest.approx(quality, abs=1))
    image.save(tmp_path / "a.webp", lossless=True)
    image.save(tmp_path / "b.webp", quality=80)
    image.quantize(64).save(tmp_path / "p.png")
    image.save(tmp_path / "a.gif")
    save(image, tmp_path / "a.png")
    codings = {
        name: measure_image(tmp_path / name, "c").coding for name in ("a.webp", "b.webp", "p.png", "a.gif", "a.png")
    }
    assert codings == {
        "a.webp": "lossless",
        "b.webp": "lossy",
        "p.png": "palette",
        "a.gif": "palette",
        "a.png": "lossless",
    }


def test_the_rank_of_copies_asks_for_size_as_far_as_training_needs_it_then_for_losses():
    def ranked(*rows):
        return [row.content for row in sorted(rows, key=lambda row: quality_rank(row, 512 * 512))]

    png, jpg, better = (
        Measurement("png", 600, 600, coding="lossless", sharpness=9.0),
        Measurement("jpg", 700, 700, coding="lossy", jpeg_quality=80, sharpness=50.0),
        Measurement("better", 700, 700, coding="lossy", jpeg_quality=95, sharpness=10.0),
    )
    gif, tiny = Measurement("gif", 700, 700, coding="palette"), Measurement("tiny", 100, 100, coding="lossless")
    assert ranked(tiny, gif, jpg, better, png) == ["png", "better", "jpg", "gif", "tiny"]


def test_a_transparent_image_is_measured_on_the_background_of_training(tmp_path):
    image = Image.new("RGBA", (64, 64), (255, 255, 255, 0))
    image.paste((255, 255, 255, 255), (16, 16, 48, 48))
    image.save(tmp_path / "a.png")
    white, black = measure_image(tmp_path / "a.png", "c"), measure_image(tmp_path / "a.png", "c", "#000000")
    assert white.contrast == 0 and black.contrast == pytest.approx(255 * (0.25 * 0.75) ** 0.5, rel=0.01)
    assert (white.background, black.background, black.hidden) == ("#ffffff", "#000000", 0.75)


def test_a_missing_file_says_nothing_about_its_content(tmp_path):
    with pytest.raises(UnreadableImage):
        measure_image(tmp_path / "gone.png", "c")


def test_settings_of_the_process_are_put_back_after_measuring_many():
    threads, blocks = cv2.getNumThreads(), Image.core.get_blocks_max()
    with pytest.raises(KeyboardInterrupt), measuring_many(3):
        assert cv2.getNumThreads() == 1 and Image.core.get_blocks_max() == 6
        raise KeyboardInterrupt
    assert (cv2.getNumThreads(), Image.core.get_blocks_max()) == (threads, blocks)
