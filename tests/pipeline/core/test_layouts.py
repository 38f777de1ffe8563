"""Every layout of TIFF and TGA that is claimed, against the image it was written from; and the formats of other decoders."""

import itertools

import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401  # so that the tests can write what is read
import pytest
import tifffile
from painted_sets import painted
from PIL import Image

from pipeline.core.decoding.image_io import UnreadableImage, load_rgb
from pipeline.images.measurement import measure_image

BASE = np.asarray(painted(3).resize((53, 37)))
GREY = np.asarray(painted(3).convert("L").resize((53, 37)))
ALPHA = np.broadcast_to(np.linspace(0.2, 1, 53)[None, :, None], (37, 53, 1))
PACKED = [(None, False), ("zlib", False), ("zlib", True), ("lzw", True), ("packbits", False), ("zstd", False)]


def read(folder, values, **options):
    tifffile.imwrite(folder / "a.tif", values, **options)
    return np.asarray(load_rgb(folder / "a.tif")).astype(float)


def as_planes(values, planes):
    return values if planes == "contig" else np.moveaxis(values, -1, 0)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("alpha", [None, "assocalpha", "unassalpha"])
def test_rgb_tiffs_of_every_layout_decode_to_what_was_written(tmp_path, bits, planes, alpha):
    top = 2**bits - 1
    values, wanted = np.rint(BASE / 255 * top), BASE.astype(float)
    if alpha is not None:
        multiplied = np.rint(values * ALPHA) if alpha == "assocalpha" else values
        values = np.concatenate([multiplied, np.rint(ALPHA * top)], axis=2)
        wanted = BASE * ALPHA + 255 * (1 - ALPHA)
    values = as_planes(values.astype(f"u{bits // 8}"), planes)
    more = {} if alpha is None else {"extrasamples": [alpha]}
    # premultiplied colours of 8 bits have lost up to 1/0.2 levels where alpha is least, and are rounded twice more
    most = 1.5 if alpha is None else 4 if alpha == "assocalpha" and bits == 8 else 2
    for (packed, predictor), order, tile in itertools.product(PACKED, "<>", (None, (16, 16))):
        found = read(
            tmp_path,
            values,
            photometric="rgb",
            planarconfig=planes,
            compression=packed,
            predictor=predictor or None,
            byteorder=order,
            tile=tile,
            **more,
        )
        assert np.abs(found - wanted).max() <= most, (packed, predictor, order, tile)


@pytest.mark.parametrize("bits", [1, 8, 16, 32])
@pytest.mark.parametrize("white", ["minisblack", "miniswhite"])
def test_grey_tiffs_of_every_depth_and_sense_decode_to_what_was_written(tmp_path, bits, white):
    top = 2**bits - 1
    values = np.rint(GREY / 255.0 * top)
    wanted = np.rint(values / top * 255)
    stored = (values if white == "minisblack" else top - values).astype("?" if bits == 1 else f"u{bits // 8}")
    for packed, order in itertools.product((None, "zlib"), "<>"):
        found = read(tmp_path, stored, photometric=white, compression=packed, byteorder=order)
        assert np.abs(found - wanted[..., None]).max() <= 1, (packed, order)


@pytest.mark.parametrize("kind", ["float16", "float32", "uint32"])
def test_tiffs_of_loose_depths_are_scaled_to_what_they_hold(tmp_path, kind):
    whole = BASE / 255 if kind.startswith("float") else BASE * 16843009.0
    assert np.abs(read(tmp_path, whole.astype(kind), photometric="rgb") - BASE).max() <= 1


def test_grey_with_alpha_of_16_bits_and_the_orientation_of_a_tiff_that_pillow_does_not_know(tmp_path):
    values = np.concatenate([GREY[..., None] * 257.0, np.rint(ALPHA * 65535)], axis=2).astype(np.uint16)
    turned = {"extratags": [(274, "H", 1, 3, True)]}
    found = read(
        tmp_path, values, photometric="minisblack", extrasamples=["unassalpha"], planarconfig="contig", **turned
    )
    assert np.abs(found[::-1, ::-1] - (GREY[..., None] * ALPHA + 255 * (1 - ALPHA))).max() <= 2


def test_a_broken_deep_tiff_is_unreadable_with_words(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", BASE.astype(np.uint16), photometric="rgb", compression="zlib")
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(data[:300] + b"?" * 50 + data[350:])
    with pytest.raises(UnreadableImage):
        load_rgb(tmp_path / "a.tif")


@pytest.mark.parametrize("origin", [0x00, 0x10, 0x20, 0x30])
@pytest.mark.parametrize("bits", [8, 24, 32])
@pytest.mark.parametrize("packed", [False, True])
def test_a_tga_stands_as_its_origin_says(tmp_path, origin, bits, packed):
    """Truevision TGA 2.0, field 5.6: bit 4 right to left, bit 5 top to bottom."""
    stored = BASE if origin & 0x20 else BASE[::-1]
    stored = stored[:, ::-1] if origin & 0x10 else stored
    kind = (3 if bits == 8 else 2) + (8 if packed else 0)
    head = bytes([0, 0, kind, *[0] * 9]) + (53).to_bytes(2, "little") + (37).to_bytes(2, "little")
    head += bytes([bits, origin | (8 if bits == 32 else 0)])
    cells = [
        bytes([red]) if bits == 8 else bytes([blue, green, red]) + (b"\xff" if bits == 32 else b"")
        for red, green, blue in stored.reshape(-1, 3).tolist()
    ]
    (tmp_path / "a.tga").write_bytes(head + b"".join((b"\0" if packed else b"") + cell for cell in cells))
    wanted = np.repeat(BASE[..., :1], 3, axis=2) if bits == 8 else BASE
    assert np.array_equal(np.asarray(load_rgb(tmp_path / "a.tga")), wanted)


@pytest.mark.parametrize("name", ["a.heic", "a.heif", "a.avif", "a.jxl"])
def test_heic_avif_and_jpeg_xl_are_decoded_and_measured(tmp_path, name):
    image = painted(3, 4)
    if name.startswith("a.he"):
        pillow_heif.register_heif_opener()
        image.save(tmp_path / name, "HEIF", quality=95)
    else:
        image.save(tmp_path / name, quality=95)
    found = np.asarray(load_rgb(tmp_path / name)).astype(float)
    assert found.shape == np.asarray(image).shape and np.abs(found - np.asarray(image)).mean() < 4
    measured = measure_image(tmp_path / name, "c")
    assert (measured.problem, measured.coding) == ("", "lossy") and measured.format in ("HEIF", "AVIF", "JXL")
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    assert measure_image(tmp_path / name, "c").problem


def test_a_transparent_avif_keeps_its_alpha(tmp_path):
    Image.new("RGBA", (16, 16), (255, 0, 0, 0)).save(tmp_path / "a.avif")
    assert measure_image(tmp_path / "a.avif", "c").transparent
