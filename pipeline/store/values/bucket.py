"""How an image is scaled and cropped to its training size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Size = tuple[int, int]
"""(width, height) in pixels."""
Box = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels."""
CENTRE = "centre"


@dataclass(frozen=True, slots=True)
class Bucket:
    """An image is scaled to `scaled`, then cropped to `crop`, a box in the scaled image that is as large as `size`.

    `loss` is the part of the scaled image that the crop leaves out, 0..1; `anchor` what the crop was placed by: a name,
    or `x,y` in parts of the image's sides; `background` the colour behind a transparent image, `#rrggbb`, "" for an
    opaque one.
    """

    size: Size
    scaled: Size
    crop: Box
    loss: float = 0.0
    anchor: str = CENTRE
    background: str = ""

    @classmethod
    def whole(cls, size: Size) -> Bucket:
        """The bucket of an image that was made in the training size."""
        return cls(size, size, (0, 0, *size))

    def to_json(self) -> dict[str, Any]:
        value = {
            "size": list(self.size),
            "scaled": list(self.scaled),
            "crop": list(self.crop),
            "loss": self.loss,
            "anchor": self.anchor,
        }
        return value | {"background": self.background} if self.background else value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Bucket:
        (width, height), (across, down) = value["size"], value["scaled"]
        left, top, right, bottom = value["crop"]
        if not 0 <= value["loss"] <= 1:
            raise ValueError(f"loss is {value['loss']}")
        if min(width, height, across, down) < 1 or not (0 <= left < right <= across and 0 <= top < bottom <= down):
            raise ValueError(f"no crop of {across}×{down} is {value['crop']}")
        return cls(
            (width, height),
            (across, down),
            (left, top, right, bottom),
            value["loss"],
            value["anchor"],
            value.get("background", ""),
        )
