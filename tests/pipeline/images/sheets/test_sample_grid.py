import os

import numpy as np
import pytest
from PIL import Image

from pipeline.images.sheets import sample_grid
from pipeline.images.sheets.sample_grid import SHEET, Column, Row, Thumbnails, draw_grid, kept_columns, most_columns


@pytest.mark.parametrize(
    ("steps", "most", "kept"),
    [
        ([0, 100, 200], 5, [0, 1, 2]),
        ([0, 100, 200, 300, 400], 3, [0, 2, 4]),
        ([0, 100, 200, 300, 400, 500], 5, [0, 2, 3, 4, 5]),
        ([0, 10, 20, 100], 3, [0, 2, 3]),
        ([0, 100, 200], 1, [0, 2]),
        ([], 4, []),
    ],
)
def test_columns_are_thinned_in_the_middle_the_oldest_of_the_closest_first(steps, most, kept):
    assert kept_columns(steps, most) == kept


def images(folder, sizes, count):
    """`count` columns of images in one colour each: red says the row, green the column."""
    columns = []
    for place in range(count):
        files = []
        for number, size in enumerate(sizes):
            files.append(folder / f"{place} {number}.png")
            Image.new("RGB", size, (200 - 20 * number, 30 + 40 * place, 60)).save(files[-1])
        columns.append(Column(f"step {place}", f"epoch {place}", files))
    return columns


def boxes_of(sheet, colour):
    found = np.argwhere((np.asarray(sheet) == colour).all(-1))
    (top, left), (bottom, right) = found.min(0), found.max(0)
    return left, top, right + 1, bottom + 1


def test_rows_are_prompts_and_columns_moments_without_overlap(tmp_path):
    sizes = [(64, 64), (48, 80), (80, 48)]
    rows = [Row(f"prompt {number} ✨", "seed 1", size) for number, size in enumerate(sizes)]
    sheet = draw_grid(rows, images(tmp_path, sizes, 3))
    boxes = [[boxes_of(sheet, (200 - 20 * row, 30 + 40 * column, 60)) for column in range(3)] for row in range(3)]
    assert [(box[2] - box[0], box[3] - box[1]) for box in (line[0] for line in boxes)] == [
        (256, 256),
        (144, 240),
        (240, 144),
    ]
    for row in range(3):
        assert all(boxes[row][place][2] < boxes[row][place + 1][0] for place in range(2))
        assert len({box[1] for box in boxes[row]}) == 1
        gaps = [boxes[row][1][0] - boxes[row][0][2], boxes[row][2][0] - boxes[row][1][2]]
        assert gaps[0] > gaps[1]
    assert all(boxes[row][0][3] < boxes[row + 1][0][1] for row in range(2))
    assert sheet.getpixel((0, 0)) == SHEET


def test_an_image_that_is_missing_is_a_blank_place(tmp_path):
    columns = images(tmp_path, [(64, 64)], 2)
    columns[1].files[0].unlink()
    sheet = draw_grid([Row("x", "y", (64, 64))], columns)
    assert boxes_of(sheet, (234, 234, 230))[2] > boxes_of(sheet, (200, 30, 60))[2]


@pytest.mark.parametrize(("sizes", "count"), [([(1024, 1024)], 40), ([(64, 64)] * 12, 3), ([(16, 160)] * 60, 2)])
def test_no_side_is_longer_than_it_may_be(tmp_path, sizes, count):
    rows = [Row("a long prompt " * 30, "seed 1", size) for size in sizes]
    longest = 2000
    columns = images(tmp_path, [(8, 8)] * len(sizes), min(count, 3)) * (count // 3 + 1)
    chosen = columns[: min(count, most_columns(rows, longest))]
    sheet = draw_grid(rows, chosen, longest=longest)
    assert max(sheet.size) <= longest and min(sheet.size) > 100


def test_prompts_of_any_letters_and_length_are_drawn(tmp_path):
    texts = ["", "一二三四五" * 40, "a" * 500, "\x00\n‮‏ x", "🎉" * 9, "<b>&amp;"]
    rows = [Row(text, "seed 1", (64, 64)) for text in texts]
    columns = images(tmp_path, [(64, 64)] * len(texts), 1)
    sheet = draw_grid(rows, columns)
    labels = np.asarray(sheet)[:, 28:260]
    assert (labels < 120).any()
    assert not (np.asarray(sheet)[62:, 262:266] < 120).any()


def test_an_image_is_read_once_and_anew_when_it_was_painted_anew(tmp_path, monkeypatch):
    file, opened, honest = tmp_path / "1.png", [], sample_grid.load_rgb
    monkeypatch.setattr(sample_grid, "load_rgb", lambda path: opened.append(path) or honest(path))
    read = Thumbnails(most=2)
    assert read(file) is None
    Image.new("RGB", (1024, 512), (9, 9, 9)).save(file)
    assert read(file).size == read(file).size == (256, 128)
    assert len(opened) == 1
    Image.new("RGB", (1024, 512), (200, 9, 9)).save(file)
    os.utime(file, ns=(1, 1))
    assert read(file).getpixel((0, 0)) == (200, 9, 9) and len(opened) == 2
    file.write_bytes(b"no image")
    os.utime(file, ns=(2, 2))
    assert read(file) is None
