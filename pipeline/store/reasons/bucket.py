"""How an image was brought to its training size."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.store.reasons.reason import Data, Reason, Table, Words


class BucketReason(Reason):
    """Data: `image`, `size` (width, height), `scale`, `loss`; of cropped ones `anchor` unless it is the centre, and
    `moved`, how far (right, down) in pixels the crop lies from the middle, where it does."""

    UNSCALED = "unscaled"
    DOWNSCALED = "downscaled"
    UPSCALED = "upscaled"
    UNSCALED_CROPPED = "unscaled_cropped"
    DOWNSCALED_CROPPED = "downscaled_cropped"
    UPSCALED_CROPPED = "upscaled_cropped"


CROPPED = {
    BucketReason.UNSCALED: BucketReason.UNSCALED_CROPPED,
    BucketReason.DOWNSCALED: BucketReason.DOWNSCALED_CROPPED,
    BucketReason.UPSCALED: BucketReason.UPSCALED_CROPPED,
}
"""A way of scaling → the same with a crop."""


def _figures(data: Data) -> str:
    (width, height), (wide, high) = data["image"], data["size"]
    figures = f"{width}×{height} at {data['scale']:.3g} to {wide}×{high}, {data['loss']:.1%} cropped"
    across, down = data.get("moved", (0, 0))
    ways = [f"{abs(across)} px {'right' if across > 0 else 'left'}"] if across else []
    ways += [f"{abs(down)} px {'down' if down > 0 else 'up'}"] if down else []
    return f"{figures}, moved {', '.join(ways)}" if ways else figures


def _cropped(scaled: str) -> Callable[[Data], str]:
    def words(data: Data) -> str:
        anchor = data.get("anchor", "")
        kept = "point" if "," in anchor else anchor
        return f"{scaled}, {kept} kept" if kept else scaled

    return words


B = BucketReason
WORDS: Table = {
    B.UNSCALED: Words("size as it is", _figures),
    B.DOWNSCALED: Words("downscaled", _figures),
    B.UPSCALED: Words("upscaled", _figures),
    B.UNSCALED_CROPPED: Words(_cropped("size as it is and cropped"), _figures, "size as it is and cropped"),
    B.DOWNSCALED_CROPPED: Words(_cropped("downscaled and cropped"), _figures, "downscaled and cropped"),
    B.UPSCALED_CROPPED: Words(_cropped("upscaled and cropped"), _figures, "upscaled and cropped"),
}
