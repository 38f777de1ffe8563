"""An adapter made of what lies between two checkpoints, one of which was trained from the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pipeline.core.errors import PrepError
from train.adapters.files.checkpoints import Checkpoint
from train.adapters.files.layer import lora_layer
from train.adapters.files.writer import claim, writing
from train.adapters.metadata import renewed
from train.adapters.names.kohya_names import LayerPath, block_of, kohya_name
from train.adapters.operations.merge import refuse_missing
from train.adapters.operations.residual import Residual
from train.adapters.operations.spectrum import Cut, spectrum_of

ProgressCallback = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Extraction:
    """What is extracted: linear layers and 1×1 convolutions by `cut`, larger convolutions, if any, by `conv_cut`."""

    cut: Cut
    conv_cut: Cut | None = None
    text_encoders: bool = True


@dataclass(frozen=True, slots=True)
class Extracted:
    """Ranks by how many layers got them, layers that do not differ, and the share of the difference left out."""

    file: Path
    ranks: Mapping[int, int]
    equal: int
    residual: Residual


def extract_file(
    base: Checkpoint,
    tuned: Checkpoint,
    output: Path,
    what: Extraction,
    dtype: torch.dtype = torch.float16,
    overwrite: bool = False,
    progress: ProgressCallback = lambda what, done, total: None,
) -> Extracted:
    """Write the best LoRA of the wanted rank for every layer that is extracted; layers that are equal in both are left out.

    Raises:
        PrepError: the checkpoints do not match, or do not differ.
    """
    claim(output, overwrite)
    layer_paths = [layer_path for layer_path in _matching(base, tuned) if _wanted(layer_path, what)]
    ranks: Counter[int] = Counter()
    residual, equal = Residual(), 0
    with writing(output) as out:
        for done, layer_path in enumerate(layer_paths):
            progress("extracting layers", done, len(layer_paths))
            delta = _delta(base, tuned, layer_path)
            if not bool(delta.any()):
                equal += 1
                continue
            kernel = tuple(delta.shape[2:])
            spectrum = spectrum_of(delta.flatten(1))
            factors, lost = spectrum.cut(what.conv_cut if what.conv_cut and _large(kernel) else what.cut)
            residual.add(block_of(layer_path, base.blocks), lost, float(spectrum.values.square().sum()))
            ranks[factors.rank] += 1
            out.add_layer(lora_layer(kohya_name(layer_path, base.family, base.blocks), factors, kernel), dtype)
        progress("extracting layers", len(layer_paths), len(layer_paths))
        if not ranks:
            raise PrepError(f"{base.path} and {tuned.path} hold equal weights", "give two checkpoints that differ")
        out.metadata |= _metadata(base, tuned, output.stem, ranks, what.conv_cut)
    return Extracted(output, dict(ranks), equal, residual)


def _matching(base: Checkpoint, tuned: Checkpoint) -> Iterator[LayerPath]:
    """Layers of the base, once the other checkpoint is known to have them all in the same shapes."""
    layer_paths = list(base.layer_paths())
    refuse_missing(
        [f"{layer_path.part}:{layer_path.path}" for layer_path in layer_paths if tuned.slot(layer_path) is None],
        tuned.path,
    )
    for layer_path in layer_paths:
        one, other = base.slot(layer_path), tuned.slot(layer_path)
        assert one is not None and other is not None
        if _elements(one.shape) != _elements(other.shape) or one.shape[0] != other.shape[0]:
            raise PrepError(
                f"the models do not match: {layer_path.path} is {list(one.shape)} in {base.path} and {list(other.shape)} in "
                f"{tuned.path}",
                "give two checkpoints of one family, one trained from the other",
            )
    return iter(layer_paths)


def _elements(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape).numel())


def _wanted(layer_path: LayerPath, what: Extraction) -> bool:
    """Layers that LoRA adapts: those in attentions and text encoders, and with `conv_cut` resnets and resampling too."""
    if layer_path.part != "unet":
        return what.text_encoders and (".self_attn." in layer_path.path or ".mlp." in layer_path.path)
    if ".attentions." in layer_path.path:
        return True
    inside = any(f".{kind}." in layer_path.path for kind in ("resnets", "downsamplers", "upsamplers"))
    return inside and what.conv_cut is not None


def _large(kernel: tuple[int, ...]) -> bool:
    return any(side > 1 for side in kernel)


def _delta(base: Checkpoint, tuned: Checkpoint, layer_path: LayerPath) -> Tensor:
    """The difference in float32, in the base's shape.

    Raises:
        PrepError: it is not finite.
    """
    one, other = base.slot(layer_path), tuned.slot(layer_path)
    assert one is not None and other is not None
    before = base.tensor(one).float()
    found = tuned.tensor(other).float().reshape(before.shape) - before
    if not bool(torch.isfinite(found).all()):
        raise PrepError(f"{layer_path.path} holds values that are not finite in one of the checkpoints", "get it anew")
    return found


def _metadata(
    base: Checkpoint, tuned: Checkpoint, name: str, ranks: Counter[int], conv_cut: Cut | None
) -> dict[str, str]:
    one = str(next(iter(ranks))) if len(ranks) == 1 else "Dynamic"
    return renewed(
        {},
        name,
        base.family,
        {
            "ss_network_module": "networks.lora",
            "ss_network_dim": one,
            "ss_network_alpha": one,
            "ss_network_args": {} if conv_cut is None else {"conv_dim": "Dynamic", "conv_alpha": "Dynamic"},
            "ss_sd_model_name": base.path.name,
            "ss_training_comment": f"extracted: {tuned.path.name} - {base.path.name}",
        },
    )
