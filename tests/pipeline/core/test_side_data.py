"""What stands beside the pixels of a PNG says nothing about them, however large it is."""

import io
import struct
import zlib

import numpy as np
import pytest
from painted_sets import painted
from PIL import Image, ImageCms

from pipeline.core.decoding.image_io import load_rgb, open_image, profile_of
from pipeline.core.decoding.png_side_data import without_texts

MEGABYTES = 3 * 2**20


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(image, *chunks, after=False):
    """The image as a PNG with chunks before its pixels, or after them."""
    stream = io.BytesIO()
    image.save(stream, "PNG")
    data = stream.getvalue()
    place = data.rindex(b"IEND") - 4 if after else data.index(b"IDAT") - 4
    return data[:place] + b"".join(chunks) + data[place:]


LONG = {
    "tEXt": chunk(b"tEXt", b"Comment\0" + b"x" * MEGABYTES),
    "zTXt": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * MEGABYTES)),
    "iTXt": chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(b"x" * MEGABYTES)),
    "iCCP": chunk(b"iCCP", b"profile\0\0" + zlib.compress(b"x" * MEGABYTES)),
    "many": b"".join(chunk(b"tEXt", b"k\0" + b"x" * 900_000) for _ in range(80)),
    "no packed data": chunk(b"zTXt", b"Comment\0\0" + b"?" * 2000),
}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("name", LONG)
def test_long_texts_and_profiles_do_not_decide_about_pixels(tmp_path, name, after):
    image = painted(3)
    (tmp_path / "a.png").write_bytes(png(image, LONG[name], after=after))
    assert np.array_equal(np.asarray(load_rgb(tmp_path / "a.png")), np.asarray(image))


def test_a_profile_larger_than_pillow_takes_is_used(tmp_path):
    real = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    padded = struct.pack(">I", len(real) + MEGABYTES) + real[4:] + b"\0" * MEGABYTES
    (tmp_path / "a.png").write_bytes(png(painted(3), chunk(b"iCCP", b"p\0\0" + zlib.compress(padded))))
    with open_image(tmp_path / "a.png") as image:
        assert profile_of(image).startswith("sRGB")


def test_a_png_of_usual_side_data_is_read_as_it_is(tmp_path):
    (tmp_path / "a.png").write_bytes(png(painted(3), chunk(b"tEXt", b"Software\0x")))
    assert without_texts(tmp_path / "a.png") is None
    (tmp_path / "b.png").write_bytes(b"no png")
    assert without_texts(tmp_path / "b.png") is None


def test_the_orientation_behind_the_pixels_still_holds(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    painted(3).save(stream, "PNG", exif=exif)
    data = stream.getvalue()
    place = data.index(b"IDAT") - 4
    (tmp_path / "a.png").write_bytes(data[:place] + LONG["zTXt"] + data[place:])
    assert load_rgb(tmp_path / "a.png").size == painted(3).size[::-1]
