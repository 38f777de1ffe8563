import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from painted_sets import painted, quiet, save
from PIL import Image

from pipeline.images.sheets.crop_sheet import HEIGHT, WIDTH, Cell, draw_sheets, grid_for, thumbnail
from pipeline.store.values.bucket import Bucket

BOX = (200, 100)


def cell(path, image=(400, 200), scaled=(400, 200), crop=(100, 0, 300, 200), **more):
    size = crop[2] - crop[0], crop[3] - crop[1]
    loss = round(1 - size[0] * size[1] / (scaled[0] * scaled[1]), 6)
    return Cell(path, image, Bucket(size, scaled, crop, loss, **more))


def names(root):
    return sorted(file.name for file in (root / "crops").iterdir())


def test_what_is_cut_away_is_dark_and_what_is_kept_is_not(tmp_path):
    save(Image.new("RGB", (400, 200), (200, 100, 50)), tmp_path / "a.png")
    drawn = thumbnail(tmp_path, cell("a.png"), BOX)
    assert drawn.size == BOX
    assert drawn.getpixel((48, 50)) == drawn.getpixel((151, 50)) == (56, 28, 14), "28 % of the brightness"
    assert drawn.getpixel((100, 50)) == (200, 100, 50)
    assert drawn.getpixel((50, 50)) == drawn.getpixel((149, 50)) == (255, 183, 77), "the line is inside"


def test_an_image_that_loses_nothing_is_drawn_plain(tmp_path):
    save(Image.new("RGB", (400, 200), (200, 100, 50)), tmp_path / "a.png")
    drawn = thumbnail(tmp_path, cell("a.png", crop=(0, 0, 400, 200)), BOX)
    assert drawn.getextrema() == ((200, 200), (100, 100), (50, 50))


def test_a_turned_jpeg_is_drawn_upright_and_reduced_decoding_moves_nothing(tmp_path):
    upright = painted(2, 12.0).resize((1600, 800))
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    save(upright, tmp_path / "upright.png")
    turned, plain = (thumbnail(tmp_path, cell(name, image=(1600, 800)), BOX) for name in ("turned.jpg", "upright.png"))
    difference = np.abs(np.asarray(turned, int) - np.asarray(plain, int))
    assert turned.size == plain.size == BOX and difference.mean() < 4


def test_transparency_shows_the_decisions_background(tmp_path):
    save(Image.new("RGBA", (400, 200), (0, 0, 0, 0)), tmp_path / "a.png")
    drawn = thumbnail(tmp_path, cell("a.png", crop=(0, 0, 400, 200), background="#102030"), BOX)
    assert drawn.getpixel((10, 10)) == (0x10, 0x20, 0x30)


def test_images_that_give_no_pixels_become_cells_that_say_why(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"not an image")
    assert thumbnail(tmp_path, cell("gone.png"), BOX) == "missing"
    assert thumbnail(tmp_path, cell("bad.png"), BOX) == "not an image, or of an unknown kind"
    counts = draw_sheets(tmp_path, "crops", [cell("gone.png"), cell("bad.png")], 0, quiet)
    assert counts == {"contact_sheets": 1, "crops_drawn": 2, "images_not_drawn": 2}


def test_there_is_one_sheet_per_size_and_old_ones_go(tmp_path):
    save(painted(1).resize((400, 200)), tmp_path / "a.png")
    save(painted(2).resize((200, 200)), tmp_path / "b.png")
    square = cell("b.png", image=(200, 200), scaled=(200, 200), crop=(0, 0, 200, 200))
    wide = cell("a.png", crop=(0, 0, 400, 200))
    assert draw_sheets(tmp_path, "crops", [square, wide], 0, quiet) == {"contact_sheets": 2, "crops_drawn": 2}
    (tmp_path / "crops/mine.jpg").write_bytes(b"somebody else's")
    assert names(tmp_path) == ["200x200.jpg", "400x200.jpg", "mine.jpg"]
    draw_sheets(tmp_path, "crops", [wide], 0, quiet)
    assert names(tmp_path) == ["400x200.jpg", "mine.jpg"], "only sheets of ours are taken away"
    with Image.open(tmp_path / "crops/400x200.jpg") as sheet:
        assert sheet.format == "JPEG" and sheet.width >= 800


def test_many_images_go_on_pages_and_a_limit_keeps_those_that_lose_most(tmp_path):
    save(painted(1).resize((400, 200)), tmp_path / "a.png")
    cells = [cell("a.png", scaled=(400 + number, 200)) for number in range(60)]
    seen = []
    counts = draw_sheets(tmp_path, "crops", cells, 0, lambda what, done, total: seen.append((done, total)))
    assert counts == {"contact_sheets": 2, "crops_drawn": 60} and names(tmp_path) == ["200x200-2.jpg", "200x200.jpg"]
    assert seen[-1] == (60, 60)
    assert draw_sheets(tmp_path, "crops", cells, 7, quiet) == {"contact_sheets": 1, "crops_drawn": 7}
    assert names(tmp_path) == ["200x200.jpg"]


def test_names_from_anywhere_are_drawn(tmp_path):
    for name in ("小林 [/bold].png", "a\u202eb.png", "x" * 180 + ".png"):
        save(painted(1).resize((400, 200)), tmp_path / name)
        assert draw_sheets(tmp_path, "crops", [cell(name)], 0, quiet)["crops_drawn"] == 1


@pytest.mark.parametrize("size", [(512, 512), (256, 1024), (1024, 256), (64, 4096), (4096, 64), (832, 1216)])
def test_cells_of_any_shape_fill_a_sheet_of_bounded_size(size):
    grid = grid_for(size, 1000)
    assert grid.columns * grid.rows >= 8
    assert grid.sheet[0] <= WIDTH and grid.sheet[1] <= HEIGHT


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.integers(1, 500))
def test_a_sheet_has_room_for_its_cells_and_no_empty_row(width, height, count):
    grid = grid_for((width, height), count)
    assert 1 <= grid.columns <= count and grid.rows >= 1 and min(grid.box) > 0
    assert (grid.rows - 1) * grid.columns < count
