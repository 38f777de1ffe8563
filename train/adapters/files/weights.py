"""How strongly each part and block of an adapter counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.core.errors import PrepError
from train.adapters.names.blocks import NAMES, section_of
from train.adapters.names.kohya_names import LayerPath, block_of
from train.models.families.key_map import Blocks


@dataclass(frozen=True, slots=True)
class Weights:
    """`overall` times `unet` or `text_encoder` times the block's own, or its section's (IN, MID, OUT), or 1."""

    overall: float = 1.0
    unet: float = 1.0
    text_encoder: float = 1.0
    blocks: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        strange = [block for block in self.blocks if block not in (*NAMES, "")]
        if strange:
            raise PrepError(
                f"{strange[0]!r} is no block of a UNet",
                "blocks are IN00 to IN11, M00, OUT00 to OUT11, IN, MID, OUT, and BASE",
            )

    def at(self, layer_path: LayerPath, blocks: Blocks) -> float:
        return self.of(layer_path.part == "unet", block_of(layer_path, blocks))

    def of(self, in_unet: bool, block: str) -> float:
        """The weight of a layer of the UNet or of a text encoder, in a block such as IN04."""
        part = self.unet if in_unet else self.text_encoder
        return self.overall * part * self.blocks.get(block, self.blocks.get(section_of(block), 1.0))
