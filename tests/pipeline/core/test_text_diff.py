import itertools

from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.text_diff import Piece, pieces, tags_changed

TAGS = st.lists(st.sampled_from(["1girl", "solo", "red boots", "red footwear", "", "smile"]), max_size=7).map(", ".join)


def test_a_tag_that_took_anothers_place_is_reported_as_removed_and_added():
    assert pieces("1girl, boots, smile", "1girl, red boots, smile") == (
        Piece("same", "1girl, "),
        Piece("removed", "boots"),
        Piece("added", "red boots"),
        Piece("same", ", smile"),
    )


def test_text_without_commas_is_compared_by_words():
    assert pieces("a girl in red", "a girl in dark red") == (
        Piece("same", "a girl in "),
        Piece("added", "dark "),
        Piece("same", "red"),
    )


@given(TAGS | st.text(max_size=30), TAGS | st.text(max_size=30))
def test_each_text_is_left_when_the_others_pieces_are_taken_out(before, after):
    found = pieces(before, after)
    assert "".join(text for kind, text in found if kind != "added") == before
    assert "".join(text for kind, text in found if kind != "removed") == after
    assert all(one.kind != other.kind for one, other in itertools.pairwise(found))


def test_what_changed_is_named_in_short():
    assert tags_changed("a, b, c", "a, c, d") == "-b, +d"
    assert tags_changed("a, b", "b, a") == "another order" and tags_changed("a,b", "a, b") == "spaces"
    assert tags_changed("", ", ".join("abcdefgh")) == "+a, +b, +c, +d, +e, +f and 2 more"
    assert tags_changed("a", "a") == ""
