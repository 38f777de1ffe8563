"""Exact rewriting of an adapter's layers into forms that the wanted clients render."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from pipeline.core.errors import PrepError
from train.adapters.algebra.factors import Factors, of_full_rank
from train.adapters.algorithms.lora import UP, reshaped
from train.adapters.files.checkpoints import Checkpoint
from train.adapters.files.client_support import incompatibility
from train.adapters.files.delta import difference, exact_factors
from train.adapters.files.layer import Layer, lora_layer, whole_layer
from train.adapters.files.one_alpha import acting_alpha, added_outputs, commonest, with_alpha
from train.adapters.files.reader import AdapterFile
from train.adapters.files.writer import Writing, claim, writing
from train.adapters.metadata import renewed
from train.adapters.names.client_keys import TARGETS
from train.adapters.names.kohya_names import LayerPath, kernel_of, kohya_name, layer_path_of
from train.models.families.key_map import STANDARD, Blocks

DYNAMIC = {"ss_network_module": "lycoris.kohya", "ss_network_dim": "Dynamic", "ss_network_alpha": "Dynamic"}
"""Metadata of a file whose layers differ in rank and algorithm."""
KEPT, EMBEDDINGS = "kept", "weights of textual inversions, kept"


OPEN_CLIP_ATTENTION = {
    "sd2": re.compile(r"(lora_te_text_model_encoder_layers_\d+_self_attn)_"),
    "sdxl": re.compile(r"(lora_te2_text_model_encoder_layers_\d+_self_attn)_"),
}
OPEN_CLIP_WIDTH = {"sd2": 1024, "sdxl": 1280}


@dataclass(frozen=True, slots=True)
class Converted:
    """How many layers became what (`kept`, `lora`, `lokr`, `full` …), and the largest rank of those made LoRA."""

    file: Path
    layers: Mapping[str, int]
    largest_rank: int


def convert_file(
    file: AdapterFile,
    output: Path,
    target: str,
    base: Checkpoint | None = None,
    dtype: torch.dtype | None = None,
    overwrite: bool = False,
) -> Converted:
    """Write the adapter anew so that the target renders every layer as it was trained, with every key it reads.

    Raises:
        PrepError: a layer needs the base's weights and none are given, or the target cannot show it in any form.
    """
    claim(output, overwrite)
    file.sound()
    family = file.family or (base.family if base else "")
    counts: Counter[str] = Counter()
    rank, widths = 0, dict[str, int]()
    alpha = one_alpha(file) if target == "diffusers" else None
    with writing(output) as out:
        for layer in file.layers():
            found = renamed(
                for_clients(layer, TARGETS[target], base, family), family, base.blocks if base else STANDARD
            )
            found = found if alpha is None else with_alpha(found, alpha)
            what = form(layer, found)
            counts[what] += 1
            rank = rank if what == KEPT else max(rank, found.rank or 0)
            widths[found.name] = next(iter(found.shapes.get(UP, ())), 0)
            out.add_layer(found, dtype or file.dtype)
        for layer in missing_projections(list(widths), family) if "a1111" in TARGETS[target] else ():
            counts["added, doing nothing, as A1111 needs it"] += 1
            out.add_layer(layer, dtype or file.dtype)
        if alpha is not None:
            for layer in added_outputs(widths):
                counts["added, doing nothing, as diffusers needs it"] += 1
                out.add_layer(with_alpha(layer, alpha), dtype or file.dtype)
        counts += Counter({keep_embeddings(file, out, target): len(file.embeddings)} if file.embeddings else {})
        shape = DYNAMIC if counts.keys() - {KEPT, EMBEDDINGS} else {}
        out.metadata |= renewed(file.metadata, output.stem, family, shape | alpha_facts(alpha))
    return Converted(output, dict(counts), rank)


def keep_embeddings(file: AdapterFile, out: Writing, target: str) -> str:
    """Copy the textual inversions that the file brings along, and say so; not for diffusers, which refuses the file for them."""
    if target == "diffusers":
        return "weights of textual inversions, left out, as diffusers refuses them"
    for key, tensor in file.embedded():
        out.add(key, tensor)
    return EMBEDDINGS


def one_alpha(file: AdapterFile) -> float:
    """The alpha that most LoRA layers of a file have, or 1 where it has none: the one that all are given for diffusers."""
    plain = (layer for layer in file.layers() if layer.kind.plain and not layer.dora)
    return commonest(acting_alpha(layer) for layer in plain) or 1.0


def alpha_facts(alpha: float | None) -> dict[str, str]:
    """What the metadata say of one alpha in all layers."""
    return {} if alpha is None else {"ss_network_alpha": f"{alpha:g}"}


def form(layer: Layer, found: Layer) -> str:
    """What a layer became."""
    if found.tensors.keys() - {"alpha"} != layer.tensors.keys() - {"alpha"} or found.algorithm != layer.algorithm:
        return f"{layer.algorithm} → {found.algorithm}"
    return KEPT if found.alpha in (layer.alpha, acting_alpha(layer)) else "kept, its alpha made the others'"


def missing_projections(names: Sequence[str], family: str) -> Iterator[Layer]:
    """LoRA that does nothing for what lacks of an OpenCLIP attention: A1111 applies q, k, v and out only together."""
    if family not in OPEN_CLIP_WIDTH:
        return
    held = set(names)
    for start in sorted({found[1] for name in names if (found := OPEN_CLIP_ATTENTION[family].match(name))}):
        for name in (f"{start}_{letter}_proj" for letter in ("q", "k", "v", "out")):
            if name not in held:
                width = OPEN_CLIP_WIDTH[family]
                yield lora_layer(name, Factors(torch.zeros(width, 1), torch.zeros(1, width)), ())


def for_clients(layer: Layer, clients: tuple[str, ...], base: Checkpoint | None, family: str) -> Layer:
    """The layer itself where all clients render it, else the smallest exact form that they do."""
    if not any(incompatibility(client, layer) for client in clients):
        return _shaped(layer, family) if clients == TARGETS["diffusers"] else layer
    if layer.kind.of_norms:
        return _of_norm(layer, clients)
    layer_path = layer_path_of(layer.name)
    if layer_path is None:
        raise PrepError(f"{layer.name} stands for no layer of Stable Diffusion", "see: prep adapter info FILE")
    weight = base_weight(layer, layer_path, base)
    kernel = tuple(weight.shape[2:]) if weight is not None else kernel_of(layer_path, family)
    for form in (_rebuilt(layer), _plain_lora(layer, weight, kernel), _whole(layer, weight, kernel)):
        if form is not None and not any(incompatibility(client, form) for client in clients):
            return form
    if layer.bias is not None:
        raise PrepError(f"{layer.name}: {clients[0]} has no form for a change of a bias", "convert it --for universal")
    delta = difference(layer, weight)
    return lora_layer(layer.name, of_full_rank(delta.flatten(1)), kernel)


def _shaped(layer: Layer, family: str) -> Layer:
    """A LoRA in the number of dimensions its module has, which diffusers insists on: kohya writes some of SD 2.x in four."""
    layer_path = layer_path_of(layer.name)
    if layer_path is None or not family or layer_path.part != "unet":
        return layer
    return replace(layer, tensors=dict(layer.tensors) | reshaped(layer.tensors, kernel_of(layer_path, family)))


def base_weight(layer: Layer, layer_path: LayerPath, base: Checkpoint | None) -> Tensor | None:
    """The weight the layer acts on, None without a base for layers that need none.

    Raises:
        PrepError: the layer needs a base and none is given, or the base has no such layer.
    """
    if base is None:
        if layer.needs_base:
            difference(layer)
        return None
    slot = base.slot(layer_path)
    if slot is None:
        raise PrepError(
            f"{base.path} has no layer {layer_path.path}, which {layer.name} acts on",
            "give the model the adapter was trained on; SD 1.x, 2.x and SDXL differ",
        )
    return base.tensor(slot).float()


def _rebuilt(layer: Layer) -> Layer | None:
    """The same algorithm in other tensors."""
    tensors = layer.kind.rebuilt(layer.tensors)
    return None if tensors is None else replace(layer, tensors=tensors)


def _plain_lora(layer: Layer, weight: Tensor | None, kernel: tuple[int, ...]) -> Layer | None:
    factors = exact_factors(layer, weight)
    if factors is None or not factors.smaller:
        return None
    return lora_layer(layer.name, factors, kernel)


def _whole(layer: Layer, weight: Tensor | None, kernel: tuple[int, ...]) -> Layer | None:
    """The difference itself, with a change of the bias kept."""
    delta = difference(layer, weight)
    if weight is None and delta.dim() == 2 and kernel:
        inside = kernel[0] * kernel[1]
        delta = delta.reshape(delta.shape[0], delta.shape[1] // inside, *kernel)
    return whole_layer(layer.name, delta, layer.bias)


def _of_norm(layer: Layer, clients: tuple[str, ...]) -> Layer:
    found = _rebuilt(layer) or layer
    if any(incompatibility(client, found) for client in clients):
        raise PrepError(f"{layer.name}: {clients[0]} has no form for a change of a norm", "convert it --for universal")
    return found


def renamed(layer: Layer, family: str, blocks: Blocks = STANDARD) -> Layer:
    """The layer under the name that every client reads.

    Raises:
        PrepError: its name stands for no layer.
    """
    layer_path = layer_path_of(layer.name, blocks)
    if layer_path is None:
        raise PrepError(f"{layer.name} stands for no layer of Stable Diffusion", "see: prep adapter info FILE")
    kept = layer_path.style != "bare" and layer_path.path != "conv_norm_out" and not layer.name.startswith("lycoris_")
    if kept and not family:
        return layer
    return replace(layer, name=kohya_name(layer_path, family, blocks))
