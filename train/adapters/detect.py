"""The shape of an adapter, read from its file: what to go on training, and with which options."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from safetensors import safe_open

from pipeline.core.errors import PrepError
from train.adapters.config import AdapterConfig
from train.adapters.inject.registry import kind_of
from train.adapters.names.layers import by_layer

CONVOLUTIONAL = re.compile(
    r"_(resnets|downsamplers|upsamplers|in_layers|out_layers|emb_layers|skip_connection)(_|$)|_0_op$|_[12]_conv$"
)
LARGE = re.compile(r"_(resnets_\d+_conv[12]|(down|up)samplers_\d+_conv|in_layers_2|out_layers_3|0_op|[12]_conv)$")
"""Names of layers outside of the transformers, and of those among them that are convolutions larger than 1 × 1."""
AS_TRAINED = 'export_for = "as-trained"'
REWRITTEN = ("glora", "oft", "boft", "ia3")
"""Algorithms that some program cannot show, so that their files hold another one unless they are written as trained."""
Keys = Mapping[str, tuple[int, ...]]
"""A layer's key → the shape of its tensor."""


def read_shape(file: Path) -> AdapterConfig:
    """What kind of adapter a safetensors file holds. Ranks and alphas are the most frequent ones; a layer that has others
    keeps them when its tensors are hung.

    Raises:
        PrepError: it cannot be read, holds no known algorithm, or several.
    """
    try:
        with safe_open(file, framework="pt") as opened:
            tensors = {key: tuple(opened.get_slice(key).get_shape()) for key in opened.keys()}  # noqa: SIM118
            alphas = {
                key.removesuffix(".alpha"): float(opened.get_tensor(key)) for key in tensors if key.endswith(".alpha")
            }
            metadata = dict(opened.metadata() or {})
    except Exception as error:
        raise PrepError(f"{file} is not a readable safetensors file: {error}", "give an adapter's file") from error
    return shape_of(tensors, alphas, metadata, str(file))


def shape_of(tensors: Keys, alphas: Mapping[str, float], metadata: Mapping[str, str], where: str) -> AdapterConfig:
    """The same from the tensors' shapes, the layers' alphas and the metadata."""
    layers = by_layer(tensors)
    kinds = {name: kind_of(keys) for name, keys in layers.items()}
    unknown = sorted(name for name, kind in kinds.items() if kind is None)
    if unknown or not layers:
        raise PrepError(
            f"{where} is no adapter that prep knows: "
            + (f"{unknown[0]} is of no known algorithm" if unknown else "empty"),
            "give a file of LoRA, LyCORIS or prep",
        )
    found = {kind for kind in kinds.values() if kind != "norm"} or {"norm"}
    if len(found) > 1:
        raise PrepError(
            f"{where} mixes the algorithms {', '.join(sorted(map(str, found)))}",
            "merge it into a checkpoint, or give an adapter of one algorithm; "
            f"one that is to be gone on from is trained with {AS_TRAINED}",
        )
    (algorithm,) = found
    own = {name: keys for name, keys in layers.items() if kinds[name] == algorithm}
    return _shape(str(algorithm), own, alphas, metadata, "norm" in kinds.values())


def _shape(
    algorithm: str, layers: Mapping[str, Keys], alphas: Mapping[str, float], metadata: Mapping[str, str], norms: bool
) -> AdapterConfig:
    large = {name for name in layers if LARGE.search(name)}
    unet = [name for name in layers if name.startswith("lora_unet_")]
    convolutions = any(CONVOLUTIONAL.search(name) for name in unet)
    small_ranks = Counter(rank_of(algorithm, keys) for name, keys in layers.items() if name not in large)
    large_ranks = Counter(rank_of(algorithm, layers[name]) for name in large)
    ranks = small_ranks or large_ranks
    first = next(iter(layers.values()))
    if algorithm == "lora":
        algorithm = "dylora" if "dylora" in metadata.get("ss_network_args", "") else "locon" if convolutions else "lora"
    return AdapterConfig(
        algorithm=algorithm,
        rank=usual(ranks.elements()) or 1,
        alpha=usual(alphas[name] for name in layers if name in alphas and (not small_ranks or name not in large))
        or 1.0,
        convolutions=convolutions,
        conv_rank=usual(large_ranks.elements()) or 0,
        conv_alpha=usual(alphas[name] for name in large if name in alphas) or 1.0,
        text_encoder=any(not name.startswith("lora_unet_") for name in layers),
        train_norm=norms and algorithm != "norm",
        factor=_factor(layers.values()) if algorithm == "lokr" else -1,
        decompose_both=any("lokr_w1_a" in keys for keys in layers.values()),
        full_matrix=algorithm == "lokr" and all({"lokr_w1", "lokr_w2"} <= keys.keys() for keys in layers.values()),
        dora="dora_scale" in first,
        tucker=any({"lora_mid.weight", "hada_t1", "lokr_t2"} & keys.keys() for keys in layers.values()),
        unit=_unit(metadata),
    )


def rank_of(algorithm: str, keys: Keys) -> int:
    """The rank of one layer; for OFT the size of its blocks, 0 where there is none."""
    places = {
        "lora": ("lora_down.weight", 0),
        "loha": ("hada_w1_b", 0),
        "glora": ("a2.weight", 0),
        "oft": ("oft_blocks", 1),
        "boft": ("oft_blocks", 2),
    }
    if algorithm == "lokr":
        key = "lokr_w2_b" if "lokr_w2_b" in keys else "lokr_w1_b"
        return keys[key][0] if key in keys else 0
    key, axis = places.get(algorithm, ("", 0))
    return keys[key][axis] if key in keys else 0


def usual(values: Iterable[Any]) -> Any:
    """The most frequent one that is not 0, the first of those alike; None where there is none."""
    counted = Counter(value for value in values if value)
    return counted.most_common(1)[0][0] if counted else None


def _factor(layers: Iterable[Keys]) -> int:
    """The side that all small factors share, or -1 where each layer has its own most square one."""
    sides: Counter[int] = Counter()
    for keys in layers:
        if "lokr_w1" in keys:
            sides.update(set(keys["lokr_w1"]))
        elif "lokr_w1_a" in keys:
            sides.update({keys["lokr_w1_a"][0], keys["lokr_w1_b"][1]})
    side, count = sides.most_common(1)[0]
    return side if count == sum(1 for _ in layers) else -1


def _unit(metadata: Mapping[str, str]) -> int:
    """DyLoRA's unit as LyCORIS (`block_size`) and kohya-ss/sd-scripts (`unit`) note it; 4 where neither does."""
    try:
        arguments = json.loads(metadata.get("ss_network_args", "{}"))
        return int(arguments.get("block_size") or arguments.get("unit") or 4)
    except (ValueError, TypeError, AttributeError):
        return 4


def check_same(asked: AdapterConfig, file: Path) -> AdapterConfig:
    """The shape of a file that training is to start from.

    Raises:
        PrepError: it is another than was asked for; the message says both.
    """
    held = read_shape(file)
    alike = {"lora": "locon", "dylora": "locon"}
    wrong = []
    for field in fields(AdapterConfig):
        if field.name in ("algorithm", "rank", "text_encoder", "convolutions", "dora", "full_matrix", "conv_rank"):
            one, other = getattr(asked, field.name), getattr(held, field.name)
            if field.name == "algorithm":
                one, other = alike.get(one, one), alike.get(other, other)
            if field.name == "conv_rank" and not (one and other):
                continue
            if field.name == "rank" and not ranked(asked):
                continue
            if one != other:
                wrong.append(
                    f"{field.name} {getattr(held, field.name)} where {getattr(asked, field.name)} was asked for"
                )
    if wrong:
        hint = "give the file's own options, or train without it"
        if asked.algorithm in REWRITTEN and held.algorithm in ("lora", "locon", "full"):
            hint = (
                f"{asked.algorithm} is rewritten for other programs; to go on from a file, train it with {AS_TRAINED}"
            )
        raise PrepError(f"{file} has " + ", ".join(wrong), hint)
    return held


def ranked(shape: AdapterConfig) -> bool:
    return shape.algorithm not in ("full", "norm", "ia3") and not shape.full_matrix
