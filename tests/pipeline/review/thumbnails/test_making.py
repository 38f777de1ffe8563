"""Small images: made once, upright, on white, encoded anew without what the file held beside its pixels."""

import io
import zlib

import pytest
from painted_sets import painted
from PIL import Image

from pipeline.core.files import file_digest
from pipeline.review.thumbnails.making import CRISP, FOLDER, KIND, SMALL, encoded, shown, thumbnail

CONTENT = "ab" + "0" * 62
SECRET = b"GPS of my house <script>"


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    assert image.format == "WEBP" and KIND == "image/webp"
    return image


def test_the_longer_side_has_360_pixels_and_a_smaller_image_stays_as_it_is(tmp_path):
    Image.new("RGB", (900, 300), (200, 10, 10)).save(tmp_path / "wide.png")
    Image.new("RGB", (40, 20), (200, 10, 10)).save(tmp_path / "tiny.png")
    assert opened(encoded(tmp_path / "wide.png", SMALL)).size == (360, 120)
    tiny = opened(encoded(tmp_path / "tiny.png", SMALL))
    assert tiny.size == (40, 20) and tiny.size[0] <= CRISP
    assert tiny.convert("RGB").getpixel((3, 3)) == (200, 10, 10), "without loss"


def test_a_turned_image_is_shown_upright_and_says_nothing_of_how_it_was(tmp_path):
    image = Image.new("RGB", (200, 100), (255, 255, 255))
    image.paste((0, 0, 0), (0, 0, 20, 20))
    tags = Image.Exif()
    tags[0x0112] = 6
    tags[0x010E] = SECRET.decode()
    image.save(tmp_path / "turned.png", exif=tags)
    made = encoded(tmp_path / "turned.png", SMALL)
    upright = opened(made)
    assert upright.size == (100, 200) and upright.convert("L").getpixel((95, 5)) < 60, "the corner went to the right"
    assert SECRET not in made and not upright.getexif()


def test_what_is_transparent_lies_on_white(tmp_path):
    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert opened(encoded(tmp_path / "clear.png", SMALL)).convert("RGB").getpixel((5, 5)) == (255, 255, 255)


BROKEN = {
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "html": b"<!doctype html><script>alert(1)</script>",
    "empty": b"",
    "cut": b"\x89PNG\r\n\x1a\n cut off",
    "text": b"P6 nonsense",
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_image_is_a_drawn_sheet_and_is_not_kept(tmp_path, name):
    file = tmp_path / "a.png"
    file.write_bytes(BROKEN[name])
    for made in (thumbnail(tmp_path, file, CONTENT), shown(file, SMALL)):
        assert opened(made).size == (160, 120) and b"alert" not in made
    assert not (tmp_path / FOLDER).exists()
    painted(3, 2.0).save(file)
    assert opened(thumbnail(tmp_path, file, CONTENT)).size == Image.open(file).size, "it is shown once it is whole"


def test_a_file_that_unpacks_to_too_many_pixels_is_not_unpacked(tmp_path):
    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    size = (60_000).to_bytes(4, "big") * 2
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size + b"\x08\x02\0\0\0") + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    (tmp_path / "bomb.png").write_bytes(bomb + chunk(b"IEND", b""))
    assert encoded(tmp_path / "bomb.png", SMALL) is None


def test_a_missing_file_is_a_drawn_sheet(tmp_path):
    assert opened(thumbnail(tmp_path, tmp_path / "gone.png", CONTENT)).size == (160, 120)


def test_it_is_made_once_and_told_by_content(tmp_path, monkeypatch):
    painted(3, 2.0).save(tmp_path / "a.png")
    content = file_digest(tmp_path / "a.png")
    first = thumbnail(tmp_path, tmp_path / "a.png", content)
    monkeypatch.setattr("pipeline.review.thumbnails.making.encoded", None)
    assert thumbnail(tmp_path, tmp_path / "elsewhere.png", content) == first
    assert (tmp_path / FOLDER / content[:2] / f"{content}.webp").read_bytes() == first


def test_a_file_that_was_edited_a_moment_ago_is_shown_and_not_kept_as_what_it_was(tmp_path):
    painted(3, 2.0).save(tmp_path / "a.png")
    before = file_digest(tmp_path / "a.png")
    painted(9, 2.0).save(tmp_path / "a.png")
    assert opened(thumbnail(tmp_path, tmp_path / "a.png", before)) and not (tmp_path / FOLDER).exists()
