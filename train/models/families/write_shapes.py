"""Write the shapes of the families' weights: python -m train.models.families.write_shapes."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping

from torch import nn

from train.models.families.known_shapes import SHAPES
from train.models.families.registry import FAMILIES
from train.models.loading.parts import empty_text, empty_unet, empty_vae


def shapes_of(family: str) -> Mapping[str, Mapping[str, tuple[int, ...]]]:
    """Part → weight → its shape, of empty models."""
    kind = FAMILIES[family]
    configs = kind.configs()
    texts = {part.folder: empty_text(configs[part.folder], part.pooled) for part in kind.text}
    return {
        "unet": _of(empty_unet(configs["unet"])),
        "text": {f"{part}.{name}": shape for part, model in texts.items() for name, shape in _of(model).items()},
        "vae": _of(empty_vae(configs["vae"])),
    }


def _of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def main() -> None:
    found = {family: shapes_of(family) for family in FAMILIES}
    SHAPES.write_bytes(gzip.compress(json.dumps(found, separators=(",", ":")).encode(), mtime=0))


if __name__ == "__main__":
    main()
