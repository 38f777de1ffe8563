"""The form of a LoRA file that diffusers shows as it was trained: one alpha in all layers, and an `out_proj` in each text
encoder whose attention is adapted.

diffusers (0.42, `get_peft_kwargs` and `convert_state_dict_to_diffusers`) finds a layer's own alpha only outside of attention
and only in the UNet; every other layer of a part gets the commonest alpha of the part. It takes a text encoder's `to_q_lora`,
`to_k_lora` and `to_v_lora` for its old format only where a `to_out_lora` is beside them, and drops them otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import torch

from train.adapters.algebra.factors import Factors, balanced
from train.adapters.algorithms.lora import DOWN, UP
from train.adapters.files.layer import Layer, lora_layer
from train.adapters.names.client_keys import text_attentions_without_output
from train.adapters.names.kohya_names import layer_path_of

ONE_ALPHA = "it scales them by the commonest alpha of the file instead of their own"


def commonest(alphas: Iterable[float | None]) -> float | None:
    """The most frequent alpha, the first of those alike; None where no layer has one."""
    counted = Counter(alpha for alpha in alphas if alpha is not None)
    return counted.most_common(1)[0][0] if counted else None


def acting_alpha(layer: Layer) -> float | None:
    """What alpha / rank is the scale of; None for a layer that no alpha scales."""
    return layer.scale * layer.rank if layer.rank else None


def with_alpha(layer: Layer, alpha: float) -> Layer:
    """A LoRA layer that does the same with another alpha: the rest goes into both factors, so that neither loses much in
    half precision."""
    acting = acting_alpha(layer)
    assert acting is not None, "it is a LoRA"
    if layer.alpha == alpha:
        return layer
    up, down = layer.tensors[UP], layer.tensors[DOWN]
    even = balanced(Factors(up.flatten(1) * (acting / alpha), down.flatten(1)))
    own = {UP: even.up.reshape(up.shape), DOWN: even.down.reshape(down.shape), "alpha": torch.tensor(alpha)}
    return replace(layer, tensors=dict(layer.tensors) | own)


def misread_alphas(alphas: Mapping[str, float | None]) -> list[str]:
    """The layers that diffusers gives another alpha than their own.

    Args:
        alphas: of every layer of a file, by its name there; None where a layer has none, which means its rank.
    """
    wrong = []
    for part in ("unet", "te", "te2"):
        own = {name: alpha for name, alpha in alphas.items() if (path := layer_path_of(name)) and path.part == part}
        given = commonest(own.values())
        for name, alpha in own.items():
            path = layer_path_of(name)
            assert path is not None
            matched = part == "unet" and ".attn" not in path.path and alpha is not None
            if given is not None and alpha != given and not matched:
                wrong.append(name)
    return wrong


def added_outputs(layers: Mapping[str, int]) -> Iterator[Layer]:
    """LoRA that does nothing for the `out_proj` that a text encoder's adapted attention lacks.

    Args:
        layers: the width of what each layer of a file gives out, by its name there.
    """
    for name in text_attentions_without_output(layers):
        width = layers[name]
        output = f"{name.rpartition('_self_attn_')[0]}_self_attn_out_proj"
        yield lora_layer(output, Factors(torch.zeros(width, 1), torch.zeros(1, width)), ())
