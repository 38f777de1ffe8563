import pytest
from painted_sets import painted, save
from PIL import Image, ImageFilter

from pipeline.images import UnreadableImage
from pipeline.measurement import figures, measure_picture


def distance(one, other):
    return (int(figures(one)[2], 16) ^ int(figures(other)[2], 16)).bit_count()


def test_blur_lowers_sharpness_and_size_hardly_matters():
    for seed in range(4):
        sharp, large = figures(painted(seed, 4))[0], figures(painted(seed, 12))[0]
        blurred = figures(painted(seed, 4).filter(ImageFilter.GaussianBlur(8)))[0]
        assert blurred < 20 < sharp and large > 20


def test_a_flat_picture_has_no_contrast():
    assert figures(Image.new("RGB", (64, 64), "red"))[1] == 0
    assert figures(painted(1))[1] > 20


def test_hashes_of_a_reduced_and_recompressed_copy_stay_near_and_others_far(tmp_path):
    original = painted(5, 6)
    original.resize((original.width // 2, original.height // 2)).save(tmp_path / "a.jpg", quality=60)
    assert distance(original, Image.open(tmp_path / "a.jpg").convert("RGB")) <= 3
    assert distance(original, painted(6, 6)) > 8


def test_a_measurement_says_what_was_seen(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.new("RGBA", (40, 20), (1, 2, 3, 0)).save(tmp_path / "a.png", exif=exif)
    found = measure_picture(tmp_path / "a.png", "c")
    assert (found.width, found.height, found.format, found.mode) == (20, 40, "PNG", "RGBA")
    assert found.rotated and found.transparent and found.frames == 1 and not found.problem


def test_an_animation_counts_its_frames(tmp_path):
    painted(1).save(tmp_path / "a.gif", save_all=True, append_images=[painted(2).resize(painted(1).size)])
    assert measure_picture(tmp_path / "a.gif", "c").frames == 2


def test_a_picture_that_cannot_be_decoded_is_measured_as_such_with_the_size_it_claims(tmp_path):
    whole = save(painted(1, 4), tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    found = measure_picture(tmp_path / "cut.png", "c")
    assert found.problem.startswith("truncated") and (found.width, found.height) == painted(1, 4).size


def test_a_missing_file_says_nothing_about_its_content(tmp_path):
    with pytest.raises(UnreadableImage):
        measure_picture(tmp_path / "gone.png", "c")
