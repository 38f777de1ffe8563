"""The configuration of an adapter, read from its file: what to go on training, and with which options."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from safetensors import safe_open

from pipeline.core.errors import PrepError
from train.adapters.algorithms.algorithm import Algorithm, LayerKind
from train.adapters.algorithms.keys import Shapes
from train.adapters.config import AdapterConfig
from train.adapters.files.layer import EXACT_FORMS
from train.adapters.names.client_keys import CLIENTS
from train.adapters.names.key_styles import EMBEDDING, SCALAR, named
from train.adapters.names.kohya_names import by_layer, layer_path_of
from train.adapters.registry import ALGORITHMS, kind_of

CONVOLUTIONAL = re.compile(
    r"_(resnets|downsamplers|upsamplers|in_layers|out_layers|emb_layers|skip_connection)(_|$)|_0_op$|_[12]_conv$"
)
LARGE = re.compile(r"_(resnets_\d+_conv[12]|(down|up)samplers_\d+_conv|in_layers_2|out_layers_3|0_op|[12]_conv)$")
"""Names of layers outside of the transformers, and of those among them that are convolutions larger than 1 × 1."""
SHOWING_MORE = tuple(client for client in CLIENTS if client != "diffusers")
"""Clients that know more than plain LoRA."""
AS_TRAINED = 'export_for = "as-trained"'


def read_config(file: Path) -> AdapterConfig:
    """What kind of adapter a safetensors file holds. Ranks and alphas are the most frequent ones; a layer that has others
    keeps them when the adapter is made of its tensors.

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
    return config_of(tensors, alphas, metadata, str(file))


def config_of(tensors: Shapes, alphas: Mapping[str, float], metadata: Mapping[str, str], where: str) -> AdapterConfig:
    """The same from the tensors' shapes, the layers' alphas and the metadata."""
    tensors = {
        key: shape for key, shape in tensors.items() if not key.startswith(EMBEDDING) and not key.endswith(f".{SCALAR}")
    }
    layers = by_layer(tensors)
    refuse_foreign(tensors, where)
    kinds = {name: kind_of(keys) for name, keys in layers.items()}
    unknown = sorted(name for name, kind in kinds.items() if kind is None)
    if unknown or not layers:
        raise PrepError(
            f"{where} is no adapter that prep knows: "
            + (f"{unknown[0]} is of no known algorithm" if unknown else "empty"),
            "give a file of LoRA, LyCORIS or prep",
        )
    known = {kind.name: kind for kind in kinds.values() if kind is not None}
    found = {name: kind for name, kind in known.items() if not kind.of_norms} or known
    if len(found) > 1:
        raise PrepError(
            f"{where} mixes the algorithms {', '.join(sorted(found))}",
            "merge it into a checkpoint, or give an adapter of one algorithm; "
            f"one that training is to go on from is trained with {AS_TRAINED}",
        )
    (kind,) = found.values()
    own = {name: keys for name, keys in layers.items() if kinds[name] is kind}
    norms = not kind.of_norms and any(each.of_norms for each in known.values())
    return _config(kind, own, alphas, metadata, norms)


def refuse_foreign(keys: Iterable[str], where: str) -> None:
    """See that a file's layers have kohya's names.

    Raises:
        PrepError: they have those of another trainer.
    """
    dotted = (key for key in keys if (name := named(key)) is not None and name.dotted and layer_path_of(name.layer))
    foreign = next(dotted, None)
    if foreign is not None:
        raise PrepError(
            f"{where} has the names of another trainer, such as {foreign}",
            f"write it with kohya's first: prep adapter convert {where} -o NEW.safetensors",
        )


def _config(
    kind: LayerKind, layers: Mapping[str, Shapes], alphas: Mapping[str, float], metadata: Mapping[str, str], norms: bool
) -> AdapterConfig:
    large = {name for name in layers if LARGE.search(name)}
    unet = [name for name in layers if name.startswith("lora_unet_")]
    convolutions = any(CONVOLUTIONAL.search(name) for name in unet)
    small_ranks = Counter(kind.keys.rank_of(keys) for name, keys in layers.items() if name not in large)
    large_ranks = Counter(kind.keys.rank_of(layers[name]) for name in large)
    ranks = small_ranks or large_ranks
    algorithm = _algorithm(kind, convolutions, metadata)
    return AdapterConfig(
        algorithm=algorithm.name,
        rank=usual(ranks.elements()) or 1,
        alpha=usual(alphas[name] for name in layers if name in alphas and (not small_ranks or name not in large))
        or 1.0,
        convolutions=convolutions,
        conv_rank=usual(large_ranks.elements()) or 0,
        conv_alpha=usual(alphas[name] for name in large if name in alphas) or 1.0,
        text_encoder=any(not name.startswith("lora_unet_") for name in layers),
        train_norm=norms,
        dora="dora_scale" in next(iter(layers.values())),
        tucker=any(kind.keys.has_core(keys) for keys in layers.values()),
        **algorithm.detected(list(layers.values()), metadata),
    )


def _algorithm(kind: LayerKind, convolutions: bool, metadata: Mapping[str, str]) -> Algorithm:
    """The one of the kind's algorithms that trained it: one that the metadata name where only they can tell, else the one
    that adapts convolutions or does not."""
    candidates = [algorithm for algorithm in ALGORITHMS.values() if algorithm.stored is kind]
    arguments = metadata.get("ss_network_args", "")
    noted = [algorithm for algorithm in candidates if algorithm.metadata_only and algorithm.name in arguments]
    others = [algorithm for algorithm in candidates if not algorithm.metadata_only]
    fitting = [algorithm for algorithm in others if algorithm.convolutions is convolutions]
    return [*noted, *fitting, *others][0]


def usual(values: Iterable[Any]) -> Any:
    """The most frequent one that is not 0, the first of those alike; None where there is none."""
    counted = Counter(value for value in values if value)
    return counted.most_common(1)[0][0] if counted else None


def check_same(asked: AdapterConfig, file: Path) -> AdapterConfig:
    """The configuration of a file that training is to start from.

    Raises:
        PrepError: it is another than was asked for; the message says both.
    """
    held = read_config(file)
    wanted, found = ALGORITHMS[asked.algorithm], ALGORITHMS[held.algorithm]
    wrong = []
    for field in fields(AdapterConfig):
        if field.name in ("algorithm", "rank", "text_encoder", "convolutions", "dora", "full_matrix", "conv_rank"):
            one, other = getattr(asked, field.name), getattr(held, field.name)
            if field.name == "algorithm" and wanted.stored is found.stored:
                continue
            if field.name == "conv_rank" and not (one and other):
                continue
            if field.name == "rank" and ("rank" not in wanted.takes or asked.full_matrix):
                continue
            if one != other:
                wrong.append(f"{field.name} {other} where {one} was asked for")
    if wrong:
        hint = "give the file's own options, or train without it"
        if held.text_encoder and not asked.text_encoder:
            hint = "give train_text_encoder = true, and text_encoder_lr = 0 to keep that part as the file has it"
        rewritten = any(wanted.rewritten_for(client, asked) for client in SHOWING_MORE)
        if rewritten and wanted.stored is not found.stored and found.stored.name in EXACT_FORMS:
            hint = (
                f"{asked.algorithm} is rewritten for other programs; to go on from a file, train it with {AS_TRAINED}"
            )
        raise PrepError(f"{file} has " + ", ".join(wrong), hint)
    return held
