import io
import struct
import zlib

import numpy as np
import pytest
from painted_sets import painted, save
from PIL import Image, ImageCms

from pipeline.errors import PrepError
from pipeline.images import UnreadableImage, load_cropped, load_rgb


def reason(path, **options):
    with pytest.raises(UnreadableImage) as caught:
        load_rgb(path, **options)
    assert isinstance(caught.value, PrepError) and str(path) in caught.value.message
    return caught.value.reason


def pixel(path, place=(0, 0)):
    picture = load_rgb(path)
    assert picture.mode == "RGB"
    return picture.getpixel(place)


def test_exif_turns_the_picture(tmp_path):
    picture = Image.new("RGB", (40, 20), "blue")
    picture.paste("red", (0, 0, 10, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.png", exif=exif)
    turned = load_rgb(tmp_path / "a.png")
    assert turned.size == (20, 40) and turned.getpixel((10, 2)) == (255, 0, 0)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparency_is_put_on_white_or_another_background(tmp_path, mode):
    picture = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (4, 0, 8, 8))
    file = tmp_path / ("a.tif" if mode == "LA" else "a.png")
    (picture.convert("LA") if mode == "LA" else picture.quantize() if mode == "PA" else picture).save(file)
    assert pixel(file) == (255, 255, 255) and pixel(file, (6, 2)) == (0, 0, 0)
    assert load_rgb(file, background=(0, 255, 0)).getpixel((0, 0)) == (0, 255, 0)


def test_a_palettes_transparent_colour_is_put_on_white(tmp_path):
    picture = Image.new("P", (8, 8), 1)
    picture.putpalette([10, 20, 30, 200, 0, 0])
    picture.save(tmp_path / "a.png", transparency=1)
    assert pixel(tmp_path / "a.png") == (255, 255, 255)


def test_half_transparent_pixels_are_mixed_once(tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 128)).save(tmp_path / "a.png")
    assert pixel(tmp_path / "a.png")[0] in (126, 127, 128)


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    values = np.array([[0, 257 * 64, 257 * 128, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert [load_rgb(tmp_path / "a.png").getpixel((x, 0))[0] for x in range(4)] == [0, 64, 128, 255]
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert [load_rgb(tmp_path / "a.tif").getpixel((x, 0))[0] for x in range(4)] == [0, 64, 128, 255]


def test_floating_point_grey_is_scaled_by_its_range(tmp_path):
    Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32)).save(tmp_path / "a.tif")
    assert [load_rgb(tmp_path / "a.tif").getpixel((x, 0))[0] for x in range(3)] == [0, 128, 255]


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    red = pixel(tmp_path / "a.jpg")
    assert red[0] > 200 and red[1] < 60


def test_an_embedded_profile_is_converted_to_srgb_and_a_broken_one_ignored(tmp_path):
    picture = Image.new("RGB", (8, 8), (200, 100, 50))
    swapped = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    picture.save(tmp_path / "foreign.png", icc_profile=swapped)
    picture.save(tmp_path / "broken.png", icc_profile=b"this is no profile")
    picture.save(tmp_path / "srgb.png", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    assert pixel(tmp_path / "broken.png") == pixel(tmp_path / "srgb.png") == (200, 100, 50)
    assert load_rgb(tmp_path / "foreign.png").size == (8, 8)


def test_the_first_frame_of_an_animation_is_taken(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert pixel(tmp_path / "a.gif") == (255, 0, 0)


def test_content_counts_not_the_name(tmp_path):
    painted(1).save(tmp_path / "a.jpg", format="PNG")
    assert load_rgb(tmp_path / "a.jpg").tobytes() == painted(1).tobytes()


def test_what_cannot_be_decoded_says_why(tmp_path):
    whole = save(painted(1, 4), tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("<html>not found</html>", encoding="utf-8")
    (tmp_path / "bent.png").write_bytes(whole[:60] + bytes(200) + whole[260:])
    assert reason(tmp_path / "cut.png") == "truncated"
    assert reason(tmp_path / "empty.png") == "empty file"
    assert reason(tmp_path / "text.png") == "not a picture, or of an unknown kind"
    assert reason(tmp_path / "bent.png") in ("corrupt", "truncated")
    assert reason(tmp_path / "gone.png") == "missing"


def test_a_truncated_jpeg_is_not_filled_with_grey(tmp_path):
    stream = io.BytesIO()
    painted(2, 6).save(stream, "JPEG")
    (tmp_path / "a.jpg").write_bytes(stream.getvalue()[: len(stream.getvalue()) // 2])
    assert reason(tmp_path / "a.jpg") == "truncated"


def test_a_picture_that_would_fill_the_memory_is_refused(tmp_path):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0")))
    assert reason(tmp_path / "bomb.png") == "too many pixels"
    save(painted(1), tmp_path / "a.png")
    assert reason(tmp_path / "a.png", max_pixels=100) == "too many pixels"


def test_the_crop_is_the_pictures_scaled_middle(tmp_path):
    save(painted(3, 2), tmp_path / "a.png")
    width, height = painted(3, 2).size
    bucket = {"size": [32, 32], "scaled": [40, 40], "crop": [4, 4, 36, 36], "loss": 0.0}
    expected = painted(3, 2).resize((40, 40), Image.Resampling.LANCZOS).crop((4, 4, 36, 36))
    assert width and height and load_cropped(tmp_path / "a.png", bucket).tobytes() == expected.tobytes()
