import io
import struct
import zlib
from dataclasses import replace

import cv2
import numpy as np
import pytest
from painted_sets import painted, save
from PIL import Image, ImageCms, ImageOps

from pipeline.core.decoding.image_io import (
    UnreadableImage,
    alpha_of,
    bits_of,
    load_cropped,
    load_rgb,
    open_image,
    orientation_of,
    profile_of,
    shown,
    unpacked,
)
from pipeline.core.decoding.pixels import pixels
from pipeline.core.errors import PrepError
from pipeline.store.values.bucket import Bucket


def reason(path, **options):
    with pytest.raises(UnreadableImage) as caught:
        load_rgb(path, **options)
    assert isinstance(caught.value, PrepError) and str(path) in caught.value.message
    return caught.value.reason


def pixel(path, place=(0, 0)):
    image = load_rgb(path)
    assert image.mode == "RGB"
    return image.getpixel(place)


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "tif"])
def test_exif_turns_the_image(tmp_path, extension):
    image = Image.new("RGB", (40, 20), "blue")
    image.paste("red", (0, 0, 10, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / f"a.{extension}", exif=exif, quality=100)
    turned = load_rgb(tmp_path / f"a.{extension}")
    red, green, blue = turned.getpixel((10, 2))
    assert turned.size == (20, 40) and red > 240 and green < 15 and blue < 15


def test_every_orientation_is_undone_as_pillow_undoes_it(tmp_path):
    image = painted(9)
    for orientation in range(10):
        exif = Image.Exif()
        exif[0x0112] = orientation
        image.save(tmp_path / "a.png", exif=exif)
        with Image.open(tmp_path / "a.png") as opened:
            expected = ImageOps.exif_transpose(opened)
            assert orientation_of(opened) == (orientation if orientation in range(1, 9) else 1)
        assert load_rgb(tmp_path / "a.png").tobytes() == expected.tobytes()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_exif_that_makes_no_sense_turns_nothing(tmp_path):
    stream = io.BytesIO()
    painted(9).save(stream, "JPEG", exif=b"Exif\0\0" + b"MM\0*" + bytes(range(60)))
    (tmp_path / "a.jpg").write_bytes(stream.getvalue())
    assert load_rgb(tmp_path / "a.jpg").size == painted(9).size


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparency_is_put_on_white_or_another_background(tmp_path, mode):
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (4, 0, 8, 8))
    file = tmp_path / ("a.tif" if mode == "LA" else "a.png")
    (image.convert("LA") if mode == "LA" else image.quantize() if mode == "PA" else image).save(file)
    assert pixel(file) == (255, 255, 255) and pixel(file, (6, 2)) == (0, 0, 0)
    assert load_rgb(file, background=(0, 255, 0)).getpixel((0, 0)) == (0, 255, 0)


def test_a_palettes_transparent_colour_is_put_on_white(tmp_path):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([10, 20, 30, 200, 0, 0])
    image.save(tmp_path / "a.png", transparency=1)
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


@pytest.mark.parametrize("extension", ["png", "tif"])
@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bit_colours_are_rounded_and_the_lower_byte_not_cut_off(tmp_path, extension, channels):
    values = np.array([[[0, 200, 16548, 65535], [257 * 100 + 200, 65535, 129, 65535]]], dtype=np.uint16)
    blue_first = values[:, :, [2, 1, 0, 3][:channels]]
    cv2.imwrite(str(tmp_path / f"a.{extension}"), np.ascontiguousarray(blue_first))
    assert pixel(tmp_path / f"a.{extension}") == (0, 1, 64)
    assert pixel(tmp_path / f"a.{extension}", (1, 0)) == (101, 255, 1)
    with open_image(tmp_path / f"a.{extension}") as opened:
        assert bits_of(opened) == 16


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def test_the_transparent_colour_of_sixteen_bits_is_put_on_white(tmp_path):
    row = struct.pack(">6H", 1000, 2000, 40000, 1001, 2000, 40000)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    clear = chunk(b"tRNS", struct.pack(">HHH", 1000, 2000, 40000))
    body = chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + clear + body)
    assert pixel(tmp_path / "a.png") == (255, 255, 255)
    assert pixel(tmp_path / "a.png", (1, 0)) == (4, 8, 156)


def test_a_truncated_image_of_sixteen_bits_is_found(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (40, 40, 3), dtype=np.uint16)
    whole = cv2.imencode(".png", values)[1].tobytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    assert reason(tmp_path / "a.png") == "truncated"


def test_floating_point_grey_is_scaled_by_its_range(tmp_path):
    Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32)).save(tmp_path / "a.tif")
    assert [load_rgb(tmp_path / "a.tif").getpixel((x, 0))[0] for x in range(3)] == [0, 128, 255]
    Image.fromarray(np.array([[0.0, np.nan, 510.0, 65535.0]], dtype=np.float32)).save(tmp_path / "b.tif")
    assert [load_rgb(tmp_path / "b.tif").getpixel((x, 0))[0] for x in range(4)] == [0, 0, 2, 255]


def test_an_image_of_several_views_shows_the_first(tmp_path):
    red, blue = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    red.save(tmp_path / "a.mpo", save_all=True, append_images=[blue], quality=100)
    assert pixel(tmp_path / "a.mpo")[0] > 240


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_the_first_frame_of_every_kind_of_animation_is_taken(tmp_path, kind):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / f"a.{kind}", save_all=True, append_images=frames[1:], lossless=True)
    assert pixel(tmp_path / f"a.{kind}") == (255, 0, 0)


def test_premultiplied_alpha_is_not_multiplied_twice(tmp_path):
    whole = Image.merge("RGBa", [Image.new("L", (4, 4), level) for level in (100, 0, 0, 128)])
    colours = load_like(whole, tmp_path)
    assert abs(colours[0] - 227) <= 2 and abs(colours[1] - 127) <= 2  # 100 + (1 - 128/255) * 255, 127
    grey = Image.merge("La", [Image.new("L", (4, 4), level) for level in (100, 128)])
    assert abs(load_like(grey, tmp_path)[0] - 227) <= 2


def load_like(whole, folder):
    """A pixel of an image that was unpacked to `whole`, as it is shown."""
    Image.new("RGB", whole.size).save(folder / "any.png")
    with open_image(folder / "any.png") as opened:
        return shown(whole, opened, folder / "any.png").getpixel((0, 0))


def test_partly_transparent_edges_are_mixed_in_proportion(tmp_path):
    image = Image.new("RGBA", (3, 1))
    image.putdata([(200, 0, 0, 255), (200, 0, 0, 51), (200, 0, 0, 0)])
    image.save(tmp_path / "a.png")
    assert [pixel(tmp_path / "a.png", (x, 0)) for x in range(3)] == [(200, 0, 0), (244, 204, 204), (255, 255, 255)]


def test_only_what_lets_something_through_counts_as_transparent(tmp_path):
    def alpha(image, **options):
        image.save(tmp_path / "a.png", **options)
        with open_image(tmp_path / "a.png") as opened:
            return alpha_of(unpacked(opened, tmp_path / "a.png"))

    assert alpha(Image.new("RGBA", (2, 2), (1, 2, 3, 255))) is None
    assert alpha(Image.new("RGB", (2, 2))) is None
    assert alpha(Image.new("RGBA", (2, 2), (1, 2, 3, 254))).getextrema() == (254, 254)
    assert alpha(Image.new("LA", (2, 2), (9, 0))).getextrema() == (0, 0)
    assert alpha(Image.new("L", (2, 2), 7), transparency=7).getextrema() == (0, 0)


@pytest.mark.parametrize("extension", ["jpg", "tif"])
def test_cmyk_becomes_rgb_and_adobes_inverted_inks_are_turned_back(tmp_path, extension):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / f"a.{extension}", quality=100)
    red = pixel(tmp_path / f"a.{extension}")
    assert red[0] > 200 and red[1] < 60
    assert extension == "tif" or b"Adobe" in (tmp_path / "a.jpg").read_bytes()


def test_an_embedded_profile_is_read_and_a_broken_one_ignored(tmp_path):
    image = Image.new("RGB", (8, 8), (200, 100, 50))
    foreign = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, profile in (("foreign", foreign), ("broken", b"this is no profile"), ("srgb", srgb), ("none", None)):
        image.save(tmp_path / f"{name}.png", icc_profile=profile)
    assert pixel(tmp_path / "broken.png") == pixel(tmp_path / "srgb.png") == (200, 100, 50)
    assert load_rgb(tmp_path / "foreign.png").size == (8, 8)
    names = {}
    for name in ("broken", "srgb", "none"):
        with open_image(tmp_path / f"{name}.png") as opened:
            names[name] = profile_of(opened)
    assert names["broken"] == "broken" and names["srgb"].startswith("sRGB") and names["none"] == ""


def rgb_profile(primaries):
    """A matrix profile (ICC.1:2010) of gamma 2.2 from (X, Y, Z) of red, green and blue under D50."""

    def fixed(value):
        return struct.pack(">i", round(value * 65536))

    text = b"desc" + bytes(4) + struct.pack(">I", 13) + b"hand-made RGB"[:12] + b"\0" + bytes(78)
    tags = [(b"desc", text), (b"wtpt", b"XYZ " + bytes(4) + fixed(0.9642) + fixed(1.0) + fixed(0.8249))]
    for name, values in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True):
        tags.append((name, b"XYZ " + bytes(4) + b"".join(fixed(value) for value in values)))
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256)) + bytes(2)
    tags += [(name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")]
    table, body, place = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags:
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", place + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s", place + len(body), b"lcms", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + fixed(0.9642) + fixed(1.0) + fixed(0.8249)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + body


DISPLAY_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
"""Colorants of Display P3, chromatically adapted to D50 (SMPTE EG 432-1)."""


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colours_of_a_wide_gamut_become_srgb(tmp_path, mode):
    image = Image.new("RGB", (8, 8), (200, 100, 50))
    image = image.quantize() if mode == "P" else image.convert(mode)
    image.save(tmp_path / "a.png", icc_profile=rgb_profile(DISPLAY_P3))
    red, green, blue = pixel(tmp_path / "a.png")
    # by hand: linear (0.586, 0.127, 0.028) × [[1.2249, -0.2247, 0], [-0.0420, 1.0419, 0], [-0.0197, -0.0786, 1.0979]]
    # = (0.689, 0.108, 0.009), and by sRGB's curve (216, 93, 26)
    assert abs(red - 216) <= 3 and abs(green - 93) <= 4 and abs(blue - 26) <= 8
    with open_image(tmp_path / "a.png") as opened:
        assert profile_of(opened) == "hand-made RG"


def test_an_image_saved_again_is_not_turned_or_converted_once_more(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = rgb_profile(DISPLAY_P3)
    Image.new("RGB", (8, 4), (200, 100, 50)).save(tmp_path / "a.jpg", exif=exif, icc_profile=profile, quality=100)
    once = load_rgb(tmp_path / "a.jpg")
    once.save(tmp_path / "b.png")
    again = load_rgb(tmp_path / "b.png")
    assert again.size == once.size == (4, 8) and again.tobytes() == once.tobytes()


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
    assert reason(tmp_path / "text.png") == "not an image, or of an unknown kind"
    assert reason(tmp_path / "bent.png") in ("corrupt", "truncated")
    assert reason(tmp_path / "gone.png") == "missing"


def test_a_truncated_jpeg_is_not_filled_with_grey(tmp_path):
    stream = io.BytesIO()
    painted(2, 6).save(stream, "JPEG")
    (tmp_path / "a.jpg").write_bytes(stream.getvalue()[: len(stream.getvalue()) // 2])
    assert reason(tmp_path / "a.jpg") == "damaged"


def test_an_image_that_would_fill_the_memory_is_refused(tmp_path):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0")))
    assert reason(tmp_path / "bomb.png") == "too many pixels"
    save(painted(1), tmp_path / "a.png")
    assert reason(tmp_path / "a.png", max_pixels=100) == "too many pixels"


def test_the_crop_is_the_images_scaled_middle(tmp_path):
    save(painted(3, 2), tmp_path / "a.png")
    width, height = painted(3, 2).size
    bucket = Bucket((32, 32), (40, 40), (4, 4, 36, 36))
    expected = painted(3, 2).resize((40, 40), Image.Resampling.LANCZOS).crop((4, 4, 36, 36))
    assert width and height and load_cropped(tmp_path / "a.png", bucket).tobytes() == expected.tobytes()


def test_the_crop_shows_its_own_background_through_what_is_transparent(tmp_path):
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "a.png")
    bucket = Bucket((4, 4), (4, 4), (0, 0, 4, 4))
    assert load_cropped(tmp_path / "a.png", bucket).getpixel((0, 0)) == (255, 255, 255)
    assert load_cropped(tmp_path / "a.png", replace(bucket, background="#10ff80")).getpixel((0, 0)) == (16, 255, 128)


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (640, 480), (3000, 2000)])
def test_pixels_are_those_of_the_image_and_outlive_it(size):
    values = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(values)
    seen = pixels(image)
    del image
    others = [Image.new("RGB", size, "red") for _ in range(4)]
    assert len(others) == 4 and seen.shape[:2] == values.shape[:2]
    assert (seen[..., :3] == values).all()
