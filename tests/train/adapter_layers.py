"""Random layers of every algorithm on weights of every kind, with the difference LyCORIS' own mathematics gives them."""

from __future__ import annotations

import torch
from lycoris.functional import boft, diag_oft, general, loha, lokr
from lycoris.modules.glora import _glora_weight
from lycoris.modules.ia3 import _ia3_weight
from torch import Tensor

from train.adapters.files.layer import Layer

SHAPES = {"linear": (12, 8), "square": (8, 8), "1x1": (12, 8, 1, 1), "3x3": (8, 12, 3, 3)}
RANK, ALPHA = 2, 3.0
NAME = "lora_unet_down_blocks_0_attentions_0_proj_in"


def random(*shape: int) -> Tensor:
    return torch.randn(shape) * 0.3


def base_weight(kind: str) -> Tensor:
    return random(*SHAPES[kind])


def layer_and_difference(algorithm: str, weight: Tensor, option: str = "") -> tuple[Layer, Tensor]:
    """A layer named as trainers do and what LyCORIS adds to the weight for it; `option` as the functions here know."""
    tensors, delta = MAKERS[algorithm](weight, option)
    kind = "lora" if algorithm == "locon" else algorithm
    if option.startswith("dora"):
        tensors["dora_scale"], delta = decomposed(weight, delta, option == "dora-output")
    return Layer(NAME, kind, tensors), delta


def decomposed(weight: Tensor, delta: Tensor, on_output: bool) -> tuple[Tensor, Tensor]:
    shape = (
        (weight.shape[0], *[1] * (weight.dim() - 1)) if on_output else (1, weight.shape[1], *[1] * (weight.dim() - 2))
    )
    scale = torch.rand(shape) + 1.0
    return scale, general._weight_decompose(weight + delta, scale, 1, on_output) - weight


def make_lora(weight: Tensor, option: str) -> tuple[dict[str, Tensor], Tensor]:
    out, inside, *kernel = weight.shape
    ones = [1] * len(kernel)
    scale = ALPHA / RANK
    tensors = {"alpha": torch.tensor(ALPHA), "lora_up.weight": random(out, RANK, *ones)}
    if option == "tucker":
        tensors["lora_mid.weight"] = random(RANK, RANK, *kernel)
        tensors["lora_down.weight"] = random(RANK, inside, *ones)
        delta = general.tucker_weight_from_conv(
            tensors["lora_up.weight"], tensors["lora_down.weight"], tensors["lora_mid.weight"]
        )
        return tensors, delta * scale
    tensors["lora_down.weight"] = random(RANK, inside, *kernel)
    return tensors, (tensors["lora_up.weight"].flatten(1) @ tensors["lora_down.weight"].flatten(1) * scale).reshape(
        weight.shape
    )


def make_loha(weight: Tensor, option: str) -> tuple[dict[str, Tensor], Tensor]:
    out, inside, *kernel = weight.shape
    scale = ALPHA / RANK
    tensors = {"alpha": torch.tensor(ALPHA)}
    for number in (1, 2):
        if option == "tucker":
            tensors[f"hada_t{number}"] = random(RANK, RANK, *kernel)
            tensors[f"hada_w{number}_a"], tensors[f"hada_w{number}_b"] = random(RANK, out), random(RANK, inside)
        else:
            flat = weight[0].numel()
            tensors[f"hada_w{number}_a"], tensors[f"hada_w{number}_b"] = random(out, RANK), random(RANK, flat)
    delta = loha.diff_weight(
        *(tensors[f"hada_w{number}_{half}"] for number in (1, 2) for half in "ba"),
        *(tensors.get(f"hada_t{number}") for number in (1, 2)),
        gamma=scale,
        backend="torch",
    )
    return tensors, delta.reshape(weight.shape)


def make_lokr(weight: Tensor, option: str) -> tuple[dict[str, Tensor], Tensor]:
    parts = lokr.weight_gen(
        weight, RANK, "tucker" in option, 6 if option == "both" else 2, option == "both", option == "full-matrix"
    )
    names = ("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2")
    if option == "full-matrix" and parts[3] is None:
        parts = (*parts[:3], parts[4] @ parts[5], None, None, None)
    made = [None if part is None else random(*part.shape) for part in parts]
    tensors = {name: part for name, part in zip(names, made, strict=True) if part is not None}
    factored = {"lokr_w1_b", "lokr_w2_b"} & tensors.keys()
    tensors["alpha"] = torch.tensor(ALPHA if factored else float(RANK))
    delta = lokr._kron_weight(*made, ALPHA / RANK if factored else 1.0)
    return tensors, delta.reshape(weight.shape)


def make_glora(weight: Tensor, option: str) -> tuple[dict[str, Tensor], Tensor]:
    out, inside, *kernel = weight.shape
    ones = [1] * len(kernel)
    tensors = {
        "alpha": torch.tensor(ALPHA),
        "a1.weight": random(inside, RANK, *ones),
        "a2.weight": random(RANK, inside, *ones),
        "b1.weight": random(out, RANK, *ones),
        "b2.weight": random(RANK, inside, *kernel),
    }
    factors = [tensors[f"{name}.weight"] for name in ("a1", "a2", "b1", "b2")]
    return tensors, _glora_weight(weight, *factors, None, ALPHA / RANK)


def make_full(weight: Tensor, option: str) -> tuple[dict[str, Tensor], Tensor]:
    diff = random(*weight.shape)
    return {"diff": diff}, diff


def make_oft(weight: Tensor, option: str) -> tuple[dict[str, Tensor], Tensor]:
    blocks = random(weight.shape[0] // 4, 4, 4)
    return rotating(diag_oft, weight, blocks, option)


def make_boft(weight: Tensor, option: str) -> tuple[dict[str, Tensor], Tensor]:
    made, _ = boft.weight_gen(weight, 4 if weight.shape[0] == 8 else 6, -1, False)
    return rotating(boft, weight, random(*made.shape), option)


def rotating(module, weight: Tensor, blocks: Tensor, option: str) -> tuple[dict[str, Tensor], Tensor]:
    limit = 0.05 if option == "constraint" else 0.0
    rescale = torch.rand(weight.shape[0], *[1] * (weight.dim() - 1)) + 0.5 if option == "rescaled" else None
    tensors = {"alpha": torch.tensor(limit), "oft_blocks": blocks}
    if rescale is not None:
        tensors["rescale"] = rescale
    return tensors, module.diff_weight(weight, blocks, rescale, constraint=limit * weight.shape[0], backend="torch")


def make_ia3(weight: Tensor, option: str) -> tuple[dict[str, Tensor], Tensor]:
    on_input = option == "input"
    width = weight.shape[1 if on_input else 0]
    scale = random(width) if weight.dim() == 2 else random(1, width, 1, 1)
    tensors = {"weight": scale, "on_input": torch.tensor(int(on_input))}
    return tensors, _ia3_weight(weight, scale, on_input, 1.0, True)


MAKERS = {
    "lora": make_lora,
    "loha": make_loha,
    "lokr": make_lokr,
    "glora": make_glora,
    "full": make_full,
    "oft": make_oft,
    "boft": make_boft,
    "ia3": make_ia3,
}
CASES = [
    (algorithm, kind, option)
    for algorithm, options in {
        "lora": ("", "tucker", "dora-input", "dora-output"),
        "loha": ("", "tucker", "dora-input", "dora-output"),
        "lokr": ("", "both", "full-matrix", "tucker", "dora-input", "dora-output"),
        "glora": ("",),
        "full": ("",),
        "oft": ("", "rescaled", "constraint"),
        "boft": ("", "rescaled", "constraint"),
        "ia3": ("", "input"),
    }.items()
    for kind in SHAPES
    for option in options
    if not (option == "tucker" and kind != "3x3")
]
