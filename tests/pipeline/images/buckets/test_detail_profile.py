import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.images.buckets.detail_profile import LENGTH, focus, profile


def test_a_square_in_a_plain_image_is_found_where_it_lies():
    grey = np.zeros((128, 256), np.uint8)
    grey[32:48, 192:224] = 255
    columns, rows = profile(focus(grey))
    assert set(np.flatnonzero(columns)) == {23, 24, 25, 26, 27, 28}, "pixels 191 to 224 of 256, 8 to a strip"
    assert set(np.flatnonzero(rows)) == {7, 8, 9, 10, 11, 12}, "pixels 31 to 48 of 128, 4 to a strip"


def test_an_edge_worked_by_hand():
    """Sobel answers 4 · 255 on either side of an upright edge, so its two strips hold all there is, alike."""
    grey = np.zeros((32, 32), np.uint8)
    grey[:, 16:] = 255
    columns, rows = profile(focus(grey))
    assert columns.tolist() == [0.0] * 15 + [255.0, 255.0] + [0.0] * 15
    assert rows.tolist() == [255.0] * 32


def test_a_plain_image_has_no_detail():
    columns, rows = profile(focus(np.full((40, 30), 200, np.uint8)))
    assert not columns.any() and not rows.any()


@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**32 - 1))
def test_images_of_any_size_give_a_profile_that_mirrors_with_them(width, height, seed):
    grey = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    text = focus(grey)
    assert len(text) == LENGTH and text == focus(grey)
    columns, rows = profile(text)
    turned_columns, turned_rows = profile(focus(np.ascontiguousarray(grey.T)))
    assert (columns.tolist(), rows.tolist()) == (turned_rows.tolist(), turned_columns.tolist())
    flipped, _ = profile(focus(np.ascontiguousarray(grey[:, ::-1])))
    assert np.abs(flipped[::-1] - columns).max() <= 1, "but for rounding"


def test_a_text_that_is_no_profile_is_refused():
    with pytest.raises(ValueError, match="a focus has 128 digits, not 4"):
        profile("00ff")
