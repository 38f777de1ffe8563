import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ladder import choose, fit, fit_without_enlarging, ladder, sides

KOHYA = json.loads((Path(__file__).parents[1] / "data" / "kohya-buckets.json").read_text(encoding="utf-8"))
picture_sizes = st.tuples(st.integers(1, 20_000), st.integers(1, 20_000))


@pytest.mark.parametrize("case", [case for case in KOHYA if not case["no_upscale"]])
def test_kohyas_rule_gives_kohyas_buckets_choices_and_sizes(case):
    buckets = ladder(case["resolution"][0] * case["resolution"][1], case["step"], case["min_side"], case["max_side"])
    assert [list(size) for size in buckets] == case["buckets"]
    for picture, bucket, scaled in case["choices"]:
        found = fit(tuple(picture), choose(tuple(picture), buckets, "kohya"))
        assert (list(found.size), list(found.scaled)) == (bucket, scaled), picture


@pytest.mark.parametrize("case", [case for case in KOHYA if case["no_upscale"]])
def test_without_enlarging_the_sizes_are_kohyas(case):
    for picture, bucket, scaled in case["choices"]:
        found = fit_without_enlarging(tuple(picture), case["resolution"][0] * case["resolution"][1], case["step"])
        assert (list(found.size), list(found.scaled)) == (bucket, scaled), picture


def test_512_has_the_seventeen_well_known_buckets():
    assert len(ladder(512 * 512, 64, 256, 1024)) == 17


def test_sdxl_is_not_clipped_to_1024():
    buckets = ladder(1024 * 1024, 64, *sides(1024, 64))
    assert max(max(size) for size in buckets) == 2048
    assert (832, 1216) in buckets and (1536, 640) in buckets


def test_sides_default_to_half_and_twice_the_resolution_at_any_scale():
    assert sides(512, 64) == (256, 1024)
    assert sides(64, 8) == (32, 128)
    assert sides(1024, 64, 512, 2000) == (512, 2048)


def test_the_miniature_worlds_framings_are_all_buckets():
    assert {(64, 64), (56, 72), (48, 80), (80, 48), (72, 56)} <= set(ladder(64 * 64, 8, *sides(64, 8)))


def test_nearest_weighs_portrait_and_landscape_alike_where_kohya_does_not():
    buckets = ladder(512 * 512, 64, 256, 1024)
    assert choose((1000, 1138), buckets) == choose((1138, 1000), buckets)[::-1] == (448, 576)
    assert choose((1000, 1138), buckets, "kohya") == (448, 576) and choose((1138, 1000), buckets, "kohya") == (512, 512)


def test_a_crop_is_centred_and_its_loss_worked_by_hand():
    found = fit((1000, 1500), (832, 1216))
    assert found.scaled == (832, 1248) and found.crop == (0, 16, 832, 1232)
    assert found.loss == pytest.approx(1 - 1216 / 1248)


@given(picture_sizes, st.sampled_from(((512, 64), (1024, 64), (1024, 32), (64, 8), (768, 64))))
def test_every_fit_covers_its_bucket_within_the_area(picture, setting):
    resolution, step = setting
    buckets = ladder(resolution**2, step, *sides(resolution, step))
    for rule in ("nearest", "kohya"):
        found = fit(picture, choose(picture, buckets, rule))
        left, top, right, bottom = found.crop
        assert (right - left, bottom - top) == found.size and min(left, top) >= 0
        assert right <= found.scaled[0] and bottom <= found.scaled[1]
        assert min(found.size) >= step and found.size[0] * found.size[1] <= resolution**2
        assert 0 <= found.loss < 1


@given(picture_sizes)
def test_no_picture_gets_a_bucket_of_size_zero_without_enlarging(picture):
    found = fit_without_enlarging(picture, 512 * 512, 64)
    assert min(found.size) >= 64 and found.size[0] % 64 == found.size[1] % 64 == 0
    assert found.scaled[0] >= found.size[0] and found.scaled[1] >= found.size[1]


def test_the_narrow_pictures_that_break_kohya_are_enlarged_to_one_step():
    assert fit_without_enlarging((60, 900), 512 * 512, 64).size == (64, 896)
    assert fit_without_enlarging((12_000, 60), 512 * 512, 64).size[1] == 64
