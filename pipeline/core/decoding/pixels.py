"""The pixels of a decoded image as an array, without a copy where Pillow gives them away."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

_POINTER = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


class _ArrowArray(ctypes.Structure):
    """The head of an array in the Arrow C data interface (Apache Arrow, "The Arrow C data interface")."""

    _fields_ = (
        ("length", ctypes.c_int64),
        ("null_count", ctypes.c_int64),
        ("offset", ctypes.c_int64),
        ("n_buffers", ctypes.c_int64),
        ("n_children", ctypes.c_int64),
        ("buffers", ctypes.POINTER(ctypes.c_void_p)),
        ("children", ctypes.POINTER(ctypes.c_void_p)),
    )


class _Lent:
    """Memory of Pillow's that numpy may read; whoever holds this holds the memory."""

    def __init__(self, owner: Any, address: int, shape: tuple[int, int, int]) -> None:
        self.owner = owner
        self.__array_interface__ = {"version": 3, "typestr": "|u1", "shape": shape, "data": (address, True)}


def pixels(image: Image) -> NDArray[np.uint8]:
    """(height, width, 3 or 4) uint8 of an RGB image, to be read only; a fourth channel means nothing."""
    assert image.mode == "RGB"
    try:
        return np.asarray(_lent(image))
    except (AttributeError, ValueError):  # of several blocks of memory, as large images are
        return np.asarray(image)


def _lent(image: Image) -> _Lent:
    """Pillow keeps RGB as four bytes a pixel, and hands them out as lists of four bytes."""
    _, capsule = image.__arrow_c_array__()
    array = _ArrowArray.from_address(_POINTER(capsule, b"arrow_array"))
    shape = (image.height, image.width, 4)
    if array.n_children != 1 or array.length != image.height * image.width:
        raise ValueError("not a list of pixels")
    values = _ArrowArray.from_address(array.children[0])
    if values.length != array.length * 4 or values.offset or array.offset:
        raise ValueError("not four bytes a pixel")
    return _Lent((capsule, image), values.buffers[1], shape)
