"""The colour behind transparent images."""

from __future__ import annotations

import difflib
import re

from pipeline.core.errors import PrepError


def colour(text: str) -> str:
    """A colour as `#rrggbb`.

    Raises:
        PrepError: it is neither that nor a name of CSS.
    """
    if re.fullmatch("#[0-9a-fA-F]{6}", text):
        return text.lower()
    if text == "white":
        return "#ffffff"
    from PIL.ImageColor import colormap, getrgb

    name = text.lower()
    if name not in colormap:
        near = difflib.get_close_matches(name, colormap, 1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise PrepError(f"background is {text!r}{meant}", "give a name such as white or grey, or #rrggbb")
    return "#" + bytes(getrgb(name)[:3]).hex()
