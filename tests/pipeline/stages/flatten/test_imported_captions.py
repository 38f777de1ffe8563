"""Captions that come along, and those that cannot."""

import pytest
from decided import decided
from flattened_sets import placed
from painted_sets import run_flatten

from pipeline.store.caption_files import write_captions


def test_a_caption_comes_along_as_a_persons_and_byte_order_marks_go(flattened, source):
    assert flattened.manual_captions()["images/characters~Lumi/a.png"] == "lumi, 1girl\n"
    (source / "characters/Lumi/b.txt").write_bytes(b"\xef\xbb\xbfb, caption\r\n")
    run_flatten(flattened, source)
    assert flattened.manual_captions()["images/characters~Lumi/b.png"] == "b, caption\r\n"
    assert (flattened.root / "images/characters~Lumi/b.txt").read_bytes() == b"b, caption\r\n"


@pytest.mark.parametrize(
    ("content", "reason"), [(b"\xff\xfe1\0", "caption is not UTF-8"), (b" \n", "caption is empty")]
)
def test_a_caption_that_cannot_be_taken_is_a_row_and_stays_as_it_is(flattened, source, content, reason):
    file = source / "characters/Lumi/b.txt"
    file.write_bytes(content)
    run_flatten(flattened, source)
    assert placed(flattened, source)["characters/Lumi/b.txt"] == (None, reason)
    assert file.read_bytes() == content and "images/characters~Lumi/b.png" not in flattened.manual_captions()


def test_a_text_without_an_image_is_a_row(flattened, source):
    (source / "characters/Lumi/prompt.txt").write_text("x", encoding="utf-8")
    run_flatten(flattened, source)
    assert placed(flattened, source)["characters/Lumi/prompt.txt"] == (None, "text without an image")


def test_a_caption_edited_in_the_set_wins_over_the_sources(flattened, source):
    (flattened.root / "images/characters~Lumi/a.txt").write_text("edited", encoding="utf-8")
    (source / "characters/Lumi/a.txt").write_text("changed", encoding="utf-8")
    run_flatten(flattened, source)
    assert flattened.manual_captions()["images/characters~Lumi/a.png"] == "edited"
    assert placed(flattened, source)["characters/Lumi/a.txt"][1] == "caption in the set differs and stays"


def test_a_caption_that_prep_wrote_gives_way_to_one_that_comes_with_the_source(flattened, source):
    path = "images/characters~Lumi/b.png"
    with flattened.transaction():
        flattened.put_rows(0, [decided(path, "caption", "made by prep")])
    write_captions(flattened, 0)
    (source / "characters/Lumi/b.txt").write_text("by hand", encoding="utf-8")
    run_flatten(flattened, source)
    assert flattened.manual_captions()[path] == "by hand"


def test_a_caption_that_changed_in_the_sources_is_taken_in_again_unless_it_was_edited_in_the_set(flattened, source):
    path = "images/characters~Lumi/a.png"
    (source / "characters/Lumi/a.txt").write_text("lumi, smile", encoding="utf-8")
    run_flatten(flattened, source)
    assert flattened.manual_captions()[path] == "lumi, smile"
    assert (flattened.root / path).with_suffix(".txt").read_text(encoding="utf-8") == "lumi, smile"
