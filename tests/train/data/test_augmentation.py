"""Which views of an image are shown: decided by content, caption and recipe alone."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tolerance import near

from pipeline.store.values.bucket import Bucket
from train.data.augmentation import (
    LARGEST,
    ImageView,
    Seen,
    Subject,
    drawn_view,
    forbidding,
    reg_image_view,
    views,
    warnings,
)
from train.data.caption_augmentation import caption_read
from train.data.color_jitter import Colour, changed, chroma_matrix, drawn_colour
from train.data.options import AugmentationOptions, CaptionOptions
from train.data.subject_position import subject_of


def image(content: str = "a", size=(64, 64), scaled=(64, 64), crop=None, **rest) -> ImageView:
    crop = crop or (0, 0, *size)
    return ImageView(content, Path("x.png"), Bucket(size, scaled, crop, **rest))


def seen(each: ImageView, caption: str = "1girl", subject: Subject | None = None) -> Seen:
    return Seen("images/a/x.png", each, caption, subject)


def views_of(each: Seen, options: AugmentationOptions, seed: int = 420) -> tuple[ImageView, ...]:
    return views(each, options, seed)


WIDE = {"scaled": (96, 64), "crop": (16, 0, 80, 64)}


def test_without_augmentation_an_image_is_its_only_view():
    assert views_of(seen(image()), AugmentationOptions()) == (image(),)


def test_flip_doubles_the_views_and_mirrors_what_the_crop_holds():
    plain, mirrored = views_of(seen(image(**WIDE)), AugmentationOptions(flip=True))
    assert plain == image(**WIDE) and mirrored.flip and mirrored.bucket == plain.bucket
    assert plain.key != mirrored.key


def test_the_size_that_a_file_had_is_known_where_it_was_measured():
    assert image(**WIDE).original == (96, 64)
    assert ImageView("a", Path("x.png"), image(**WIDE).bucket, pixels=(960, 640)).original == (960, 640)


@pytest.mark.parametrize(
    "caption",
    ["1girl, looking left", "Left-handed", "looking_right, smile", "RIGHT", "hair over left, eye", "(left:1.2)"],
)
def test_images_whose_caption_says_left_or_right_are_never_mirrored(caption):
    assert len(views_of(seen(image(), caption), AugmentationOptions(flip=True))) == 1


@pytest.mark.parametrize("caption", ["leftover", "bright eyes", "1girl", "", "upright, copyright"])
def test_words_that_only_hold_left_or_right_forbid_nothing(caption):
    assert len(views_of(seen(image(), caption), AugmentationOptions(flip=True))) == 2


def test_a_person_names_words_of_their_own_and_what_stands_around_all_captions_counts_too():
    guard = ("eyepatch", "hair over one eye")
    assert forbidding("Hair_over_one_eye, smile", guard) == "hair over one eye"
    assert forbidding("looking left", guard) == ""
    assert (
        forbidding(caption_read("1girl", CaptionOptions(caption_suffix="seen from the left")), ("left", "right"))
        == "left"
    )


def test_random_crop_moves_the_crop_within_what_the_bucket_leaves():
    found = views_of(seen(image(**WIDE)), AugmentationOptions(random_crop=True, variants=8))
    assert len({view.key for view in found}) == 8
    for view in found:
        left, top, right, bottom = view.bucket.crop
        assert 0 <= left <= 32 and (top, bottom, right - left) == (0, 64, 64) and view.bucket.scaled == (96, 64)
    assert len({view.bucket.crop[0] for view in found}) == 8


def test_there_are_no_more_views_than_there_are_different_ones():
    assert views_of(seen(image()), AugmentationOptions(random_crop=True)) == (image(),), "nothing is cut away"
    narrow = image(scaled=(65, 64))
    assert {view.bucket.crop[0] for view in views_of(seen(narrow), AugmentationOptions(random_crop=True))} == {0, 1}


def test_views_depend_on_content_and_seed_and_on_no_other_image():
    recipe = AugmentationOptions(random_crop=True, color_jitter=0.1)
    assert views_of(seen(image(**WIDE)), recipe) == views_of(seen(image(**WIDE)), recipe)
    other, seeded = (
        views_of(seen(image("b", **WIDE)), recipe),
        views_of(seen(image(**WIDE)), AugmentationOptions(color_jitter=0.1), seed=1),
    )
    mine = views_of(seen(image(**WIDE)), recipe)
    assert {view.colour for view in mine}.isdisjoint(view.colour for view in (*other, *seeded))
    more = AugmentationOptions(random_crop=True, color_jitter=0.1, variants=6)
    assert views_of(seen(image(**WIDE)), more)[:4] == mine, "more variants leave the first ones as they are"


def test_face_crop_enlarges_about_the_subject_within_the_image():
    subject = Subject((0.25, 0.5), (400, 400))
    recipe = AugmentationOptions(face_crop=(2.0, 2.0))
    (view,) = views_of(seen(image(), subject=subject), recipe)
    assert view.bucket.scaled == (128, 128)
    assert view.bucket.crop == (0, 32, 64, 96), "its middle, 32 of 128, is in the middle of the crop"
    (view,) = views_of(seen(image(), subject=Subject((0.9, 0.5), (400, 400))), recipe)
    assert view.bucket.crop == (64, 32, 128, 96), "as near to it as the edge lets it be"


def test_face_crop_draws_factors_from_its_range():
    found = views_of(
        seen(image(), subject=Subject((0.5, 0.5), (999, 999))), AugmentationOptions(face_crop=(1.2, 1.8), variants=16)
    )
    scales = [view.bucket.scaled[0] / 64 for view in found]
    assert len(found) == 16 and 1.18 < min(scales) < 1.4 and 1.6 < max(scales) <= 1.81


def test_face_crop_makes_no_more_pixels_of_a_file_than_it_says():
    small = Subject((0.5, 0.5), (64, 64))
    assert (
        max(
            v.bucket.scaled[0]
            for v in views_of(seen(image(), subject=small), AugmentationOptions(face_crop=(1.0, 4.0)))
        )
        <= 96
    )
    tiny = Subject((0.5, 0.5), (int(64 / LARGEST), 64))
    assert views_of(seen(image(), subject=tiny), AugmentationOptions(face_crop=(2.0, 4.0))) == (image(),)


def test_an_image_without_a_known_subject_stays_whole():
    assert views_of(seen(image()), AugmentationOptions(face_crop=(1.2, 1.5))) == (image(),)


def anchored(name: str) -> Bucket:
    return Bucket((40, 40), (40, 40), (0, 0, 40, 40), 0.0, name)


def test_a_subject_is_a_face_a_point_or_the_middle_of_the_detail():
    flat, right = "ff" * 64, "00" * 31 + "ff" + "ff" * 32
    assert subject_of("x_10_20_4_4.png", anchored("face"), 40, 40, flat) == Subject((0.25, 0.5), (40, 40))
    assert subject_of("x_10_20_4_4.png", anchored("centre"), 40, 40, flat) == Subject((0.5, 0.5), (40, 40))
    assert subject_of("x.png", anchored("0.1,0.9"), 40, 40, flat) == Subject((0.1, 0.9), (40, 40))
    found = subject_of("x.png", anchored("subject"), 40, 40, right)
    assert found is not None and found.at == (31.5 / 32, 0.5)
    assert subject_of("x.png", anchored("centre"), 40, 40, "") is None
    assert subject_of("x.png", anchored("centre"), 40, 40, "00" * 64) is None, "an image without detail"
    assert subject_of("x.png", anchored("centre"), 0, 0, flat) is None


def test_a_reg_image_is_mirrored_and_coloured_with_its_image_but_never_cropped():
    reg_image = image("regularization", size=(64, 64))
    for view in views_of(seen(image(**WIDE)), AugmentationOptions(random_crop=True, color_jitter=0.2, flip=True)):
        beside = reg_image_view(reg_image, view)
        assert (beside.flip, beside.colour, beside.bucket) == (view.flip, view.colour, reg_image.bucket)


def test_views_are_dealt_so_that_all_come_before_one_comes_again():
    cards = [image(str(number)) for number in range(4)]
    dealt_out = [drawn_view(cards, earlier, 1, "key").content for earlier in range(40)]
    for start in range(0, 40, 4):
        assert sorted(dealt_out[start : start + 4]) == ["0", "1", "2", "3"]
    assert len({tuple(dealt_out[start : start + 4]) for start in range(0, 40, 4)}) > 3, "in another order each time"
    assert dealt_out != [drawn_view(cards, earlier, 1, "other").content for earlier in range(40)]
    assert max(Counter(dealt_out[:10]).values()) - min(Counter(dealt_out[:10]).values()) <= 1


def test_the_plan_tells_which_images_are_left_as_they_are():
    found = [seen(image(), "looking left"), seen(image(**WIDE)), seen(image(), "right, left")]
    (remark,) = warnings(found, AugmentationOptions(flip=True))
    assert remark == "flip leaves out 2 of 3 images whose caption says left, such as images/a/x.png"
    (remark,) = warnings(found, AugmentationOptions(random_crop=True))
    assert remark.startswith("random_crop leaves 2 of 3 images as they are, of which the bucket cuts nothing away")
    found = [seen(image(), subject=Subject((0.5, 0.5), pixels)) for pixels in ((20, 20), (640, 640))]
    small, unknown = warnings([*found, seen(image())], AugmentationOptions(face_crop=(1.0, 2.0)))
    assert "1 of 3" in small and "1.5 times their file's pixels" in small
    assert "1 of 3" in unknown and "whose subject is not known" in unknown
    assert warnings(found, AugmentationOptions()) == ()


# --- colours


def test_a_colour_change_worked_by_hand():
    grey = np.full((2, 2, 3), 100, np.float32)
    assert near(changed(grey, Colour(brightness=1.2)), np.full((2, 2, 3), 120.0), products=3)
    halves = np.array([[[50, 50, 50], [150, 150, 150]]], np.float32)
    assert near(changed(halves, Colour(contrast=1.5))[0, :, 0], [25.0, 175.0], products=3), "about the mean of 100"
    red = np.array([[[200, 0, 0]]], np.float32)
    luma = 0.299 * 200
    assert near(changed(red, Colour(saturation=0.0)), np.full((1, 1, 3), luma), products=3, scale=200)
    half = changed(red, Colour(saturation=0.5))[0, 0]
    assert near(half, [(200 + luma) / 2, luma / 2, luma / 2], products=3, scale=200)


def test_turning_hues_leaves_grey_and_luma_as_they_are_and_a_whole_turn_changes_nothing():
    assert near(chroma_matrix(1.0, 360.0), np.eye(3), products=3)
    turned = chroma_matrix(1.0, 30.0)
    assert near(turned @ np.ones(3), np.ones(3), products=3), "grey stays grey"
    assert near(np.array((0.299, 0.587, 0.114)) @ turned, (0.299, 0.587, 0.114), products=3)
    assert near(chroma_matrix(1.0, 120.0) @ chroma_matrix(1.0, 240.0), np.eye(3), products=3)


def test_colours_stay_within_what_a_pixel_can_hold():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.float32)
    out = changed(pixels, Colour(1.5, 1.5, 1.5, 30))
    assert out.dtype == np.float32 and out.min() >= 0 and out.max() <= 255


def test_drawn_colours_lie_within_the_jitter_and_use_it():
    drawn = [drawn_colour(0.2, "view", number) for number in range(300)]
    for name in ("brightness", "contrast", "saturation"):
        values = [getattr(colour, name) for colour in drawn]
        assert 0.8 <= min(values) < 0.82 and 1.18 < max(values) <= 1.2
    turns = [colour.hue_degrees for colour in drawn]
    assert -12 <= min(turns) < -11 and 11 < max(turns) <= 12


def test_a_plan_can_tell_of_views_without_torch():
    modules = "train.data.augmentation, train.data.dataset, train.data.latent_files, train.data.subject_position"
    program = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
