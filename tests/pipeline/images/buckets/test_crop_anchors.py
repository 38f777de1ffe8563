import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.images.buckets.crop_anchors import box_in_name, chosen, face_in, keep_face, parse, place
from pipeline.images.buckets.detail_profile import STRIPS

NONE = np.zeros((1, 2, STRIPS), np.uint8)
names = st.sampled_from(("centre", "top", "bottom", "left", "right", "subject", "0.1,0.9", "1,0"))


def one(anchor, scaled, size, strips=NONE):
    return tuple(place([anchor], np.array([scaled]), np.array([size]), strips)[0].tolist())


def detail(columns=(), rows=()):
    """A profile with detail in these strips only."""
    strips = np.zeros((1, 2, STRIPS), np.uint8)
    strips[0, 0, list(columns)] = strips[0, 1, list(rows)] = 255
    return strips


@pytest.mark.parametrize(
    ("anchor", "corner"),
    [
        ("centre", (150, 5)),
        ("top", (150, 0)),
        ("bottom", (150, 10)),
        ("left", (0, 5)),
        ("right", (300, 5)),
        ("0.5,0.5", (150, 5)),
        ("0.25,0.5", (0, 5)),
        ("0.4,1", (70, 10)),
        ("0,0", (0, 0)),
        ("subject", (150, 5)),
    ],
)
def test_places_worked_by_hand(anchor, corner):
    """A window of 500×500 in 800×510: 300 and 10 pixels jut out; 0.4 of 800 is 320, less half of 500 is 70."""
    assert one(anchor, (800, 510), (500, 500)) == corner


def test_the_subject_is_held_and_the_window_stays_as_near_to_the_middle_as_that_allows():
    scaled, size = (640, 320), (320, 320)
    assert one("subject", scaled, size, detail(columns=range(14, 18))) == (160, 0), "in the middle already"
    assert one("subject", scaled, size, detail(columns=range(26, 30))) == (280, 0), "strip 29 ends at pixel 600 of 640"
    assert one("subject", scaled, size, detail(columns=range(0, 2))) == (0, 0)
    assert one("subject", (320, 640), size, detail(rows=range(2, 4))) == (0, 40), "strip 2 starts at pixel 40"


def test_of_a_subject_on_either_side_the_middle_is_as_good():
    assert one("subject", (640, 320), (320, 320), detail(columns=range(STRIPS))) == (160, 0)


@given(
    st.lists(
        st.tuples(names, st.integers(1, 900), st.integers(1, 900), st.integers(0, 400), st.integers(0, 400)), min_size=1
    ),
    st.integers(0, 2**32 - 1),
)
def test_every_window_lies_in_its_image_and_does_not_depend_on_the_others(rows, seed):
    anchors = [row[0] for row in rows]
    sizes = np.array([row[1:3] for row in rows])
    scaled = sizes + np.array([row[3:5] for row in rows])
    strips = np.random.default_rng(seed).integers(0, 256, (len(rows), 2, STRIPS), np.uint8)
    corners = place(anchors, scaled, sizes, strips)
    assert (corners >= 0).all() and (corners + sizes <= scaled).all()
    for number, row in enumerate(rows):
        alone = place([row[0]], scaled[number : number + 1], sizes[number : number + 1], strips[number : number + 1])
        assert alone.tolist() == corners[number : number + 1].tolist()


@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 2**32 - 1))
def test_no_window_holds_noticeably_more_detail_than_the_one_chosen(window, jut, seed):
    strips = np.random.default_rng(seed).integers(0, 256, (1, 2, STRIPS), np.uint8)
    length = window + jut
    pixels = np.repeat(strips[0, 0] / strips[0, 0].sum() / length, length).reshape(STRIPS, length).sum(1)
    assert pixels.sum() == pytest.approx(1)
    running = np.interp(np.arange(length + 1) * STRIPS / length, np.arange(STRIPS + 1), np.cumsum([0, *pixels]))
    held = running[window:] - running[: length - window + 1]
    (left, _) = one("subject", (length, 100), (window, 100), strips)
    step = -(-jut // 32)  # 33 places are tried, so the best may lie half a step of at most this beside one of them
    assert held[left] >= held.max() - 0.01 - step * pixels.max() * STRIPS / length


def test_a_key_is_a_path_or_a_pattern_and_the_nearer_one_wins():
    paths = ["images/a/[x] 1.png", "images/a/2.png", "images/b/3.png"]
    given_anchors = {"images/a/[x] 1.png": "left", "images/*": "top", "images/b/*": "0.1,0.2", "images/c/*": "right"}
    found = chosen(paths, "centre", given_anchors)
    assert found.names == ("left", "top", "0.1,0.2") and found.unused == ("images/c/*",)


@pytest.mark.parametrize("text", ["", "middle", "0.5", "0.5,1.2", "-0.1,0.5", "nan,0.5", "1,2,3", "inf,0", "0.5;0.5"])
def test_what_is_no_anchor_is_refused_with_what_would_be_one(text):
    with pytest.raises(ValueError, match="expected one of centre, top, bottom, left, right, subject, or x,y"):
        parse(text)


def test_points_have_one_spelling():
    assert parse(" 0.50, .25 ").name == "0.5,0.25" and parse("0.5,0.25").point == (0.5, 0.25)


def test_faces_are_read_from_names_that_end_in_four_numbers():
    assert box_in_name("/p/face 7_100_80_40_60.png") == (100, 80, 40, 60)
    assert box_in_name("C:\\p\\a_b_1_2_3_4.JPG") == (1, 2, 3, 4)
    assert [box_in_name(name) for name in ("1_2_3_4.png", "a_1_2_3.png", "a_1_2_3_4_.png", "a_1_-2_3_4.png")] == [
        None
    ] * 4
    assert face_in((100, 80, 40, 60), (300, 200)) == (80, 50, 120, 110)
    assert face_in((10, 10, 40, 40), (300, 200)) == (0, 0, 30, 30), "cut at the image's edge"
    assert face_in((300, 80, 40, 60), (300, 200)) is None and face_in((100, 80, 0, 60), (300, 200)) is None


def test_a_crop_moves_just_far_enough_to_hold_a_face():
    image, scaled, size = (1200, 600), (1000, 500), (500, 500)
    assert keep_face((250, 0), (360, 60, 600, 240), image, scaled, size) == (250, 0), "300 to 500: it does already"
    assert keep_face((250, 0), (120, 60, 360, 240), image, scaled, size) == (100, 0), "starts at 120 · 1000/1200"
    assert keep_face((250, 0), (840, 60, 1080, 240), image, scaled, size) == (400, 0), "ends at 900"
    assert keep_face((250, 0), (240, 0, 1080, 600), image, scaled, size) == (300, 0), "200 to 900: its middle is 550"


@given(st.integers(1, 900), st.integers(0, 900), st.integers(1, 900), st.integers(0, 900), st.integers(1, 900))
def test_a_face_that_fits_is_always_held(window, jut, width, first, longest):
    length = window + jut
    face = (first * width // 900, 0, min(width, first * width // 900 + longest), 1)
    (left, _) = keep_face((jut // 2, 0), face, (width, 1), (length, 1), (window, 1))
    assert 0 <= left <= jut
    start, end = face[0] * length / width, face[2] * length / width
    if end - start <= window - 1:
        assert left <= start + 1e-9 and end <= left + window + 1e-9
