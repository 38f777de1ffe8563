"""What an adapter file is: algorithms, ranks, strength by block, metadata, and what each client makes of it."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch

from pipeline.core.errors import PrepError
from train.adapters.files.checkpoints import Checkpoint
from train.adapters.files.client_support import incompatibility
from train.adapters.files.delta import difference
from train.adapters.files.layer import Layer
from train.adapters.files.one_alpha import ONE_ALPHA, misread_alphas
from train.adapters.files.reader import AdapterFile, Outline
from train.adapters.files.writer import payload_hash
from train.adapters.names.blocks import order
from train.adapters.names.client_keys import CLIENTS, used_keys
from train.adapters.names.key_styles import EMBEDDING
from train.adapters.names.kohya_names import block_of
from train.models.families.key_map import STANDARD

TOP_TAGS = 20
BASES = {"sd1": "SD 1.x", "sd2": "SD 2.x", "sdxl": "SDXL"}


def describe(file: AdapterFile, base: Checkpoint | None = None) -> dict[str, Any]:
    """Everything about the file as JSON can hold it; norms of layers that depend on the base only with one."""
    with file.reading() as read:
        rows, wrong, damaged = _layers(file, base, read)
    return {
        "file": str(file.path),
        "bytes": file.size,
        "base": BASES.get(file.family, ""),
        "dtypes": dict(Counter(file.dtypes.values())),
        "algorithms": dict(Counter(row["algorithm"] for row in rows)),
        "ranks": _counted(row["rank"] for row in rows),
        "alphas": _counted(row["alpha"] for row in rows),
        "scales": _counted(row["scale"] for row in rows),
        "parts": dict(Counter(row["part"] for row in rows)),
        "layers": len(rows),
        "norm": _together(row["norm"] for row in rows),
        "blocks": _blocks(rows),
        "metadata": facts_of(file.metadata),
        "hashes": _hashes(file),
        "clients": {client: _client(client, file, wrong[client]) for client in CLIENTS},
        "problems": [*file.problems, *damaged],
        "unknown": list(file.unknown),
        "embeddings": sorted({key.removeprefix(EMBEDDING).partition(".")[0] for key in file.embeddings}),
    }


def effect_norm(layer: Layer, weight: torch.Tensor | None = None) -> float | None:
    """Frobenius norm of the difference, computed in float64 from its factors; None where it needs a base."""
    if layer.needs_base:
        return None if weight is None else float(difference(layer, weight).norm())
    doubled = replace(layer, tensors={suffix: tensor.double() for suffix, tensor in layer.tensors.items()})
    return abs(float(doubled.weights.norm(None)))


def _layers(
    file: AdapterFile, base: Checkpoint | None, read: Callable[[str], Layer]
) -> tuple[list[dict[str, Any]], dict[str, Counter[str]], list[str]]:
    """A row per layer, what each client does wrong how often, and layers that cannot be computed."""
    rows, damaged, alphas = [], [], {}
    wrong: dict[str, Counter[str]] = {client: Counter() for client in CLIENTS}
    broken = {problem.split(":", 1)[0] for problem in file.problems}
    for name, outline in file.outlines.items():
        if name in broken:
            continue
        layer_path = outline.layer_path
        slot = base.slot(layer_path) if base and layer_path else None
        try:
            layer = read(name)
            norm = effect_norm(layer, base.tensor(slot) if base and slot and layer.needs_base else None)
        except (PrepError, RuntimeError) as error:
            damaged.append(error.message if isinstance(error, PrepError) else f"{name}: {error}")
            continue
        for client in CLIENTS:
            if why := _wrong(client, layer, outline):
                wrong[client][why] += 1
        if not file.dotted(name) and layer.kind.plain:
            alphas[name] = layer.alpha
        rows.append(
            {
                "algorithm": _algorithm(layer),
                "rank": layer.rank,
                "alpha": layer.alpha if layer.rank else None,
                "scale": layer.scale if layer.rank else None,
                "part": {"unet": "UNet", "te": "text encoder", "te2": "text encoder 2"}[layer_path.part]
                if layer_path
                else "unknown",
                "block": (layer_path and block_of(layer_path, base.blocks if base else STANDARD)) or "other",
                "norm": norm,
            }
        )
    if misread := misread_alphas(alphas):
        wrong["diffusers"][ONE_ALPHA] += len(misread)
    return rows, wrong, damaged


def _wrong(client: str, layer: Layer, outline: Outline) -> str:
    """What a client does wrong with a layer. diffusers hands files in its own names to PEFT, whose DoRA it is then, but for
    that of text encoders, where the magnitudes are not loaded."""
    if client == "diffusers" and outline.dotted and layer.dora == "output" and layer.kind.plain and not layer.tucker:
        in_unet = outline.layer_path is not None and outline.layer_path.part == "unet"
        return "" if in_unet else "DoRA's magnitudes of text encoders are not loaded"
    return incompatibility(client, layer)


def _algorithm(layer: Layer) -> str:
    label = layer.kind.label(layer.shapes)
    return label + (" tucker" if layer.tucker else "") + (f" dora ({layer.dora})" if layer.dora else "")


def _counted(values: Any) -> dict[str, int]:
    return {f"{value:g}": count for value, count in Counter(values).most_common() if value is not None}


def _together(norms: Any) -> float | None:
    """The norm of all differences as one; None if one of them is not known."""
    found = list(norms)
    return None if any(norm is None for norm in found) else math.sqrt(sum(norm**2 for norm in found))


def _blocks(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for block in sorted({row["block"] for row in rows}, key=order):
        inside = [row for row in rows if row["block"] == block]
        ranks = sorted({row["rank"] for row in inside if row["rank"]})
        norm = _together(row["norm"] for row in inside)
        found.append({"block": block, "layers": len(inside), "ranks": ", ".join(map(str, ranks)), "norm": norm})
    return found


def _hashes(file: AdapterFile) -> dict[str, Any]:
    stored = file.metadata.get("sshs_model_hash", "")
    computed = payload_hash(file.path, file.start)
    return {
        "sshs_model_hash": computed,
        "stored": stored,
        "matches": stored == computed if stored else None,
        "sshs_legacy_hash": file.metadata.get("sshs_legacy_hash", ""),
        "autov3": computed[:12],
    }


def _client(client: str, file: AdapterFile, wrong: Counter[str]) -> dict[str, Any]:
    used = used_keys(client, file.keys, file.family)
    return {
        "renders": not used.ignored and not wrong,
        "keys_read": len(used.read),
        "keys_ignored": dict(Counter(used.ignored.values())),
        "layers_wrong": dict(wrong),
    }


def facts_of(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What people look for in the metadata; whatever is not there is left out."""
    wanted = {
        "name": "ss_output_name",
        "title": "modelspec.title",
        "trigger words": "modelspec.trigger_phrase",
        "base model": "ss_sd_model_name",
        "base version": "ss_base_model_version",
        "module": "ss_network_module",
        "arguments": "ss_network_args",
        "dim": "ss_network_dim",
        "alpha": "ss_network_alpha",
        "steps": "ss_steps",
        "epochs": "ss_num_epochs",
        "images": "ss_num_train_images",
        "optimizer": "ss_optimizer",
        "learning rate": "ss_learning_rate",
        "clip skip": "ss_clip_skip",
        "prediction": "modelspec.prediction_type",
        "comment": "ss_training_comment",
        "merged from": "modelspec.merged_from",
    }
    found: dict[str, Any] = {name: metadata[key] for name, key in wanted.items() if metadata.get(key)}
    tags = top_tags(metadata.get("ss_tag_frequency", ""))
    return found | ({"tags": tags} if tags else {})


def top_tags(text: str) -> dict[str, int]:
    """The most frequent tags over all folders, from ss_tag_frequency; {} for text that is no such table."""
    try:
        folders = json.loads(text)
    except ValueError:
        return {}
    counts: Counter[str] = Counter()
    for tags in folders.values() if isinstance(folders, dict) else ():
        for tag, count in tags.items() if isinstance(tags, dict) else ():
            if isinstance(count, int):
                counts[tag.strip()] += count
    return dict(counts.most_common(TOP_TAGS))
