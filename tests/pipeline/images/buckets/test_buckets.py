import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.images.buckets.buckets import (
    bucket_list,
    choose,
    choose_all,
    fit,
    fit_all,
    fit_all_without_enlarging,
    fit_without_enlarging,
    sides,
)

KOHYA = json.loads((Path(__file__).parents[3] / "data" / "kohya-buckets.json").read_text(encoding="utf-8"))
SETTINGS = ((512, 64), (1024, 64), (1024, 32), (64, 8), (768, 64))
image_sizes = st.tuples(st.integers(1, 20_000), st.integers(1, 20_000))


@pytest.mark.parametrize("case", [case for case in KOHYA if not case["no_upscale"]])
def test_kohyas_rule_gives_kohyas_buckets_choices_and_sizes(case):
    buckets = bucket_list(
        case["resolution"][0] * case["resolution"][1], case["step"], case["min_side"], case["max_side"]
    )
    assert [list(size) for size in buckets] == case["buckets"]
    for image, bucket, scaled in case["choices"]:
        found = fit(tuple(image), choose(tuple(image), buckets, "kohya"))
        assert (list(found.size), list(found.scaled)) == (bucket, scaled), image


@pytest.mark.parametrize("case", [case for case in KOHYA if case["no_upscale"]])
def test_without_enlarging_the_sizes_are_kohyas(case):
    for image, bucket, scaled in case["choices"]:
        found = fit_without_enlarging(tuple(image), case["resolution"][0] * case["resolution"][1], case["step"])
        assert (list(found.size), list(found.scaled)) == (bucket, scaled), image


def test_512_has_the_seventeen_well_known_buckets():
    assert len(bucket_list(512 * 512, 64, 256, 1024)) == 17


def test_sdxl_is_not_clipped_to_1024():
    buckets = bucket_list(1024 * 1024, 64, *sides(1024, 64))
    assert max(max(size) for size in buckets) == 2048
    assert (832, 1216) in buckets and (1536, 640) in buckets


def test_sides_default_to_half_and_twice_the_resolution_at_any_scale():
    assert sides(512, 64) == (256, 1024)
    assert sides(64, 8) == (32, 128)
    assert sides(1024, 64, 512, 2000) == (512, 2048)


def test_the_miniature_worlds_framings_are_all_buckets():
    assert {(64, 64), (56, 72), (48, 80), (80, 48), (72, 56)} <= set(bucket_list(64 * 64, 8, *sides(64, 8)))


def test_nearest_weighs_portrait_and_landscape_alike_where_kohya_does_not():
    buckets = bucket_list(512 * 512, 64, 256, 1024)
    assert choose((1000, 1138), buckets) == choose((1138, 1000), buckets)[::-1] == (448, 576)
    assert choose((1000, 1138), buckets, "kohya") == (448, 576) and choose((1138, 1000), buckets, "kohya") == (512, 512)


def test_a_crop_is_centred_and_its_loss_worked_by_hand():
    found = fit((1000, 1500), (832, 1216))
    assert found.scaled == (832, 1248) and found.crop == (0, 16, 832, 1232)
    assert found.loss == pytest.approx(1 - 1216 / 1248)


@given(image_sizes, st.sampled_from(SETTINGS))
def test_every_fit_covers_its_bucket_within_the_area(image, setting):
    resolution, step = setting
    buckets = bucket_list(resolution**2, step, *sides(resolution, step))
    for rule in ("nearest", "kohya"):
        found = fit(image, choose(image, buckets, rule))
        left, top, right, bottom = found.crop
        assert (right - left, bottom - top) == found.size and min(left, top) >= 0
        assert right <= found.scaled[0] and bottom <= found.scaled[1]
        assert min(found.size) >= step and found.size[0] * found.size[1] <= resolution**2
        assert found.size[0] % step == found.size[1] % step == 0
        assert found.scaled[0] == found.size[0] or found.scaled[1] == found.size[1]
        assert 0 <= found.loss < 1


@given(image_sizes, st.sampled_from(SETTINGS))
def test_without_enlarging_every_image_has_a_bucket_that_its_scaled_size_covers(image, setting):
    resolution, step = setting
    found = fit_without_enlarging(image, resolution**2, step)
    left, top, right, bottom = found.crop
    assert min(found.size) >= step and found.size[0] % step == found.size[1] % step == 0
    assert (right - left, bottom - top) == found.size and min(left, top) >= 0
    assert right <= found.scaled[0] and bottom <= found.scaled[1]
    half_a_pixel = (min(found.size) / (min(found.size) - 0.5)) ** 2  # kohya rounds the exact side to the nearest pixel
    assert found.size[0] * found.size[1] <= resolution**2 * half_a_pixel
    if min(found.size) > step:
        assert found.scaled[0] <= image[0] and found.scaled[1] <= image[1], "only an image one step wide may grow"


def test_the_narrow_images_that_break_kohya_are_enlarged_to_one_step():
    assert fit_without_enlarging((60, 900), 512 * 512, 64).size == (64, 960)
    assert fit_without_enlarging((12_000, 60), 512 * 512, 64).size == (4096, 64)
    assert fit_without_enlarging((1, 20_000), 512 * 512, 64).size == (64, 4096)


def test_a_longest_side_of_1024_takes_an_sdxl_bucket_list_a_third_of_its_area():
    clipped, whole = (bucket_list(1024 * 1024, 64, *sides(1024, 64, 256, longest)) for longest in (1024, 2048))
    assert np.prod(clipped, 1).mean() / 1024**2 == pytest.approx(0.61, abs=0.01)  # worked out for kohya's default
    assert np.prod(whole, 1).mean() / 1024**2 == pytest.approx(0.91, abs=0.01)
    assert len(clipped) == 25 and len(whole) == 41


@pytest.mark.parametrize("case", KOHYA, ids=lambda case: f"{case['resolution'][0]}-{case['no_upscale']}")
def test_arrays_give_kohyas_answers_too(case):
    area = case["resolution"][0] * case["resolution"][1]
    images = np.array([image for image, _, _ in case["choices"]], np.int64)
    if case["no_upscale"]:
        sizes, scaled = fit_all_without_enlarging(images, area, case["step"])
    else:
        sizes = choose_all(images, bucket_list(area, case["step"], case["min_side"], case["max_side"]), "kohya")
        scaled = fit_all(images, sizes)
    assert [[list(size), list(each)] for size, each in zip(sizes.tolist(), scaled.tolist(), strict=True)] == [
        [bucket, each] for _, bucket, each in case["choices"]
    ]


@given(st.lists(image_sizes, min_size=1, max_size=40), st.sampled_from(SETTINGS), st.sampled_from(("nearest", "kohya")))
def test_arrays_give_exactly_what_the_rule_for_one_image_gives(images, setting, rule):
    resolution, step = setting
    buckets = bucket_list(resolution**2, step, *sides(resolution, step))
    images = [*images, *buckets[:3]]
    many = np.array(images, np.int64)
    sizes = choose_all(many, buckets, rule)
    assert [tuple(size) for size in sizes.tolist()] == [choose(each, buckets, rule) for each in images]
    fits = [fit(each, tuple(size)) for each, size in zip(images, sizes.tolist(), strict=True)]
    assert [tuple(each) for each in fit_all(many, sizes).tolist()] == [found.scaled for found in fits]
    sizes, scaled = fit_all_without_enlarging(many, resolution**2, step)
    fits = [fit_without_enlarging(each, resolution**2, step) for each in images]
    assert [tuple(each) for each in sizes.tolist()] == [found.size for found in fits]
    assert [tuple(each) for each in scaled.tolist()] == [found.scaled for found in fits]


@given(image_sizes, st.sampled_from(SETTINGS))
def test_nearest_turns_with_the_image(image, setting):
    buckets = bucket_list(setting[0] ** 2, setting[1], *sides(*setting))
    assert choose(image[::-1], buckets) == choose(image, buckets)[::-1]


def test_of_two_equally_near_sizes_the_larger_is_taken():
    assert choose((200, 400), ((256, 512), (320, 640))) == (320, 640)
    assert choose((200, 400), ((256, 512), (320, 640)), "kohya") == (256, 512), "kohya takes the first"
    assert choose((256, 512), ((256, 512), (320, 640))) == (256, 512), "an image as large as a size gets it"
