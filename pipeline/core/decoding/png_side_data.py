"""PNGs whose texts and profiles are larger than Pillow takes: the pixels are read without the texts.

Pillow refuses a file for one text or profile that unpacks to more than a megabyte, wherever it stands. None of it is needed
for the pixels but the profile, which is unpacked here, up to a size that no real profile has.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_TEXT = 1000
"""Bytes of a text that is left alone: packed it unpacks to a megabyte at most, as deflate packs 1032 to 1 at best."""
MOST_PROFILE = 2**24
"""Bytes of an unpacked colour profile; the largest in use have about two million."""
_SIDE = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")


def without_texts(path: Path | str) -> tuple[io.BytesIO, bytes | None] | None:
    """The PNG without long texts and without its profile, and that profile; None where nothing of it is too long.

    Raises:
        OSError: the file cannot be read.
    """
    with Path(path).open("rb") as stream:
        if stream.read(len(SIGNATURE)) != SIGNATURE:
            return None
        chunks = list(_chunks(stream))
        if not any(_is_long(kind, length) for kind, _, length in chunks):
            return None
        kept, profile = [SIGNATURE], None
        for kind, place, length in chunks:
            stream.seek(place)
            if not _is_long(kind, length):
                kept.append(stream.read(12 + length))
            elif kind == b"iCCP":
                profile = _profile(stream.read(8 + length)[8:])
    return io.BytesIO(b"".join(kept)), profile


def _chunks(stream: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Kind, place and length of every chunk, read from their heads alone."""
    place = len(SIGNATURE)
    while len(head := stream.read(8)) == 8:
        length = int.from_bytes(head[:4], "big")
        yield head[4:], place, length
        place += 12 + length
        stream.seek(place)


def _is_long(kind: bytes, length: int) -> bool:
    return length > MOST_TEXT and kind in _SIDE


def _profile(body: bytes) -> bytes | None:
    """The profile in an iCCP chunk, None where it cannot be unpacked or is larger than any."""
    _, _, packed = body.partition(b"\0")
    unpacking = zlib.decompressobj()
    try:
        profile = unpacking.decompress(packed[1:], MOST_PROFILE)
    except zlib.error:
        return None
    return None if unpacking.unconsumed_tail else profile
