"""The difference that each client makes of a layer: where they part from LyCORIS, their formula, not the right one.

What the algorithms say of clients (`incompatibility`) is held against it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from train.adapters.algebra.norms import axis_norm
from train.adapters.algebra.rotations import rotations
from train.adapters.algorithms.boft import butterfly
from train.adapters.algorithms.oft import rotate
from train.adapters.files.layer import Layer


class NotRendered(Exception):
    """The client skips the layer or stops at it; the message says why."""


def weight_delta(client: str, layer: Layer, weight: Tensor, strength: float = 1.0) -> Tensor:
    """What the client adds to a weight (out, in) or (out, in, k, k) for the layer.

    Raises:
        NotRendered: it applies nothing.
    """
    weight = weight.float()
    found = {"a1111": _a1111, "forge": _forge, "comfyui": _comfyui, "diffusers": _diffusers}[client]
    return found(layer, weight, strength).reshape(weight.shape)


def _a1111(layer: Layer, weight: Tensor, strength: float) -> Tensor:
    """Web UI 1.10: linear in the strength; DoRA's magnitudes always along the input; GLoRA in an older layout only."""
    if layer.algorithm == "glora":
        raise NotRendered("it reads an older layout of GLoRA and stops at this one")
    if layer.algorithm == "norm" and not {"w_norm", "b_norm"} <= layer.tensors.keys():
        raise NotRendered("it needs both w_norm and b_norm")
    if layer.algorithm == "norm":
        return layer.tensors["w_norm"] * strength
    if layer.algorithm == "ia3" and weight.dim() > 2 and not bool(layer.tensors["on_input"]):
        raise NotRendered("it stops at (IA)³ on the outputs of a convolution")
    delta = layer.weights.delta(weight).reshape(weight.shape)
    if layer.dora is not None:
        changed = weight + delta
        magnitude = layer.tensors["dora_scale"]
        if magnitude.dim() < 2:
            magnitude = magnitude.reshape(-1, *[1] * (weight.dim() - 1))
        delta = changed / axis_norm(changed, 1) * magnitude - weight
    return delta * strength


def _comfyui(layer: Layer, weight: Tensor, strength: float) -> Tensor:
    """DoRA on outputs by the norm of the unchanged weight; rotations take the strength twice and alpha as the limit."""
    if layer.algorithm == "ia3":
        raise NotRendered("it does not know (IA)³")
    if layer.algorithm == "norm":
        if "w_norm" not in layer.tensors:
            return torch.zeros_like(weight)
        return layer.tensors["w_norm"] * strength
    if layer.algorithm == "lokr" and "lokr_t2" in layer.tensors:
        raise NotRendered("it cannot rebuild LoKr with a Tucker core")
    if layer.algorithm == "oft":
        blocks = rotations(layer.tensors["oft_blocks"], layer.alpha or 0.0)
        return (rotate(blocks, weight) - weight) * strength * strength
    if layer.algorithm == "boft":
        return _comfyui_boft(layer, weight, strength)
    delta = layer.weights.delta(weight).reshape(weight.shape)
    if layer.dora is None:
        return delta * strength
    changed = weight + delta
    length = axis_norm(changed, 1) if layer.dora == "input" else axis_norm(weight, 0)
    return (changed * (layer.tensors["dora_scale"].reshape(length.shape) / length) - weight) * strength


def _comfyui_boft(layer: Layer, weight: Tensor, strength: float) -> Tensor:
    turned = weight.flatten(1)
    blocks = rotations(layer.tensors["oft_blocks"], layer.alpha or 0.0)
    identity = torch.eye(blocks.shape[-1])
    for stage, block in enumerate(blocks):
        turned = butterfly(block * strength + identity * (1 - strength), turned, stage)
    if "rescale" in layer.tensors:
        turned = turned * layer.tensors["rescale"].flatten()[:, None]
    return (turned.reshape(weight.shape) - weight) * strength


def _forge(layer: Layer, weight: Tensor, strength: float) -> Tensor:
    """As ComfyUI does, without rotations."""
    if layer.algorithm in ("oft", "boft"):
        raise NotRendered("it does not know OFT")
    return _comfyui(layer, weight, strength)


def _diffusers(layer: Layer, weight: Tensor, strength: float) -> Tensor:
    """LoRA without a Tucker core; DoRA's magnitudes of kohya-style files are dropped."""
    if layer.algorithm != "lora":
        raise NotRendered("it loads plain LoRA only")
    if layer.tucker:
        raise NotRendered("it does not know a Tucker core (lora_mid)")
    return layer.weights.delta(weight) * strength
