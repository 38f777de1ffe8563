"""An adapter at another rank, by QR of its factors and an SVD of the small matrix between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from train.adapters.files.delta import exact_factors
from train.adapters.files.layer import Layer, lora_layer
from train.adapters.files.reader import AdapterFile
from train.adapters.files.writer import claim, writing
from train.adapters.metadata import renewed
from train.adapters.names.kohya_names import block_of, kernel_of, layer_path_of
from train.adapters.operations.convert import DYNAMIC, renamed
from train.adapters.operations.residual import Residual
from train.adapters.operations.spectrum import Cut, spectrum_of_factors


@dataclass(frozen=True, slots=True)
class Resized:
    """Ranks by how many layers got them, the residual, and layers left as they were with the reason."""

    file: Path
    ranks: Mapping[int, int]
    residual: Residual
    kept: Mapping[str, int]


def resize_file(
    file: AdapterFile, output: Path, cut: Cut, dtype: torch.dtype | None = None, overwrite: bool = False
) -> Resized:
    """Write the adapter with the best layers of the wanted ranks; alpha / rank stays as it was, layer by layer.

    Layers without low-rank factors (full differences, norms, rotations, (IA)³, and whatever is scaled by DoRA or made
    of the base's weights) stay as they are.

    Raises:
        PrepError: the file has keys that would be lost, or damaged layers.
    """
    claim(output, overwrite)
    file.sound()
    ranks: Counter[int] = Counter()
    kept: Counter[str] = Counter()
    residual = Residual()
    with writing(output) as out:
        for layer in file.layers():
            found = _resized(layer, file.family, cut, residual)
            if found is None:
                kept["DoRA" if layer.dora else layer.algorithm] += 1
            else:
                ranks[found.rank or 0] += 1
            out.add_layer(renamed(found or layer, file.family), dtype or file.dtype)
        for key, tensor in file.embedded():
            kept["weights of textual inversions"] += 1
            out.add(key, tensor)
        out.metadata |= renewed(file.metadata, output.stem, file.family, _shape(file, ranks))
    return Resized(output, dict(ranks), residual, dict(kept))


def _resized(layer: Layer, family: str, cut: Cut, residual: Residual) -> Layer | None:
    factors = exact_factors(layer)
    if factors is None:
        return None
    found, lost = (spectrum := spectrum_of_factors(factors)).cut(cut)
    layer_path = layer_path_of(layer.name)
    residual.add((layer_path and block_of(layer_path)) or "other", lost, float(spectrum.values.square().sum()))
    kernel = layer.kind.kernel(layer.shapes)
    if kernel is None:
        kernel = kernel_of(layer_path, family) if layer_path else ()
    return lora_layer(layer.name, found, kernel, layer.scale)


def _shape(file: AdapterFile, ranks: Counter[int]) -> dict[str, str]:
    """One rank and alpha where all layers share them, else Dynamic, as kohya-ss/sd-scripts writes it."""
    changes = DYNAMIC | {"ss_network_module": "networks.lora"}
    with file.reading() as layer:
        scales = {layer(name).scale for name, outline in file.outlines.items() if outline.rank}
    if len(ranks) == 1 and len(scales) == 1:
        (rank,), (scale,) = ranks, scales
        changes |= {"ss_network_dim": str(rank), "ss_network_alpha": f"{rank * scale:g}"}
    return changes
