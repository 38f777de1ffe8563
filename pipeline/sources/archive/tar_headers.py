"""Headers of tar files, read within bounds: `tarfile` reads a long name or a pax header whole, whatever size it states,
and takes a damaged header in the middle for the end of the archive."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Self

LONGEST_HEADER = 2**20
_READ_WHOLE = frozenset(
    (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
)


class BoundedTarInfo(tarfile.TarInfo):
    """A member of a tar file whose header is sound and of a size that fits in memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """The member that a block of 512 bytes describes.

        Raises:
            tarfile.ReadError: the header is damaged, cut off, or states more than 1 MiB of names.
        """
        try:
            info = super().frombuf(buf, encoding, errors)
        except (tarfile.EmptyHeaderError, tarfile.EOFHeaderError):  # type: ignore[attr-defined]
            raise  # the archive's end
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"a header is damaged: {error}") from error
        if info.type in _READ_WHOLE and info.size > LONGEST_HEADER:
            raise tarfile.ReadError(f"a header states {info.size / 2**20:.0f} MiB of names")
        return info


def is_tar(path: Path) -> bool:
    """Whether a file begins with a block of a tar file, not packed."""
    with path.open("rb") as stream:
        block = stream.read(tarfile.BLOCKSIZE)
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
        return True
    except tarfile.HeaderError:
        return False
    return True
