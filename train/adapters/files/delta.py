"""What a layer of an adapter adds to a weight, as LyCORIS defines it (Yeh et al. 2023, arXiv:2309.14859), in float32.

Weights are (out, in) or (out, in, k, k). O, I, K stand for out, in and the kernel's size, R for the rank.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.core.errors import PrepError
from train.adapters.files.layer import Layer

LARGEST = 2**28
"""Elements of a weight beyond any Stable Diffusion layer's; small factors of a hostile file could ask for more."""


def needs_base(layer: Layer) -> bool:
    """Whether the difference depends on the weight it is added to."""
    return layer.algorithm in ("glora", "oft", "boft", "ia3") or layer.dora is not None


def difference(layer: Layer, weight: Tensor | None = None, shape: Sequence[int] | None = None) -> Tensor:
    """The difference at strength 1, in the base weight's shape, or `shape`, or as a matrix (O, I·K) where none is given.

    Raises:
        PrepError: the algorithm works on the base's weights and none is given, or the shapes do not fit.
    """
    if weight is None and needs_base(layer):
        raise PrepError(
            f"{layer.name}: what {described(layer)} does depends on the weights it acts on",
            "give the model it was trained on with --base",
        )
    shape = tuple(weight.shape) if weight is not None else None if shape is None else tuple(shape)
    try:
        found = product(layer, weight)
        found = found if shape is None else found.reshape(shape)
    except (RuntimeError, ValueError) as error:
        raise misfit(layer, shape) from error
    return found if layer.dora is None or weight is None else _decomposed(layer, weight.float(), found)


def misfit(layer: Layer, shape: Sequence[int] | None) -> PrepError:
    return PrepError(
        f"{layer.name} does not fit the model: its weight there is {list(shape or ())}",
        "take a model of the kind the adapter was trained on (SD 1.x, 2.x and SDXL differ)",
    )


def described(layer: Layer) -> str:
    return f"DoRA along the {layer.dora} axis" if layer.dora else layer.algorithm


def product(layer: Layer, weight: Tensor | None = None) -> Tensor:
    """The difference without DoRA; a matrix (O, I·K) for LoRA and LoHa, else in the weight's own shape.

    Raises:
        RuntimeError: shapes do not fit each other or the weight.
    """
    if layer.algorithm == "full":
        return layer.tensors["diff"]
    if layer.algorithm == "lokr":
        return kronecker(*halves(layer)) * layer.scale
    if layer.algorithm in ("lora", "loha"):
        pairs = factor_pairs(layer)
        _bounded(layer, pairs[0][0].shape[0], pairs[0][1].shape[1])
        found = torch.full((), layer.scale)
        for up, down in pairs:
            found = found * (up @ down)
        return found
    assert weight is not None, "needs_base says so"
    return {"glora": _glora, "oft": _oft, "boft": _boft, "ia3": _ia3}[layer.algorithm](layer, weight.float())


def factor_pairs(layer: Layer) -> list[tuple[Tensor, Tensor]]:
    """The (O, R) and (R, I·K) factors of a LoRA, or the two pairs of a LoHa, a Tucker core multiplied into the second."""
    if layer.algorithm == "lora":
        up, down, mid = layer.tensors["lora_up.weight"], layer.tensors["lora_down.weight"], layer.get("lora_mid.weight")
        if mid is None:
            return [(up.flatten(1), down.flatten(1))]
        return [(up.flatten(1), torch.einsum("mn...,ni->mi...", mid, down.flatten(1)).flatten(1))]
    pairs = []
    for number in (1, 2):
        first, second = layer.tensors[f"hada_w{number}_a"], layer.tensors[f"hada_w{number}_b"]
        core = layer.get(f"hada_t{number}")
        if core is None:
            pairs.append((first.flatten(1), second.flatten(1)))
        else:  # the first factor of a Tucker LoHa is stored as (R, O)
            pairs.append((first.T, torch.einsum("mn...,ni->mi...", core, second).flatten(1)))
    return pairs


def halves(layer: Layer) -> tuple[Tensor, Tensor]:
    """Both halves of a LoKr, rebuilt: (a, c) and (b, d) or (b, d, k, k)."""
    first, second, core = layer.get("lokr_w1"), layer.get("lokr_w2"), layer.get("lokr_t2")
    if first is None:
        first = layer.tensors["lokr_w1_a"] @ layer.tensors["lokr_w1_b"]
    if second is None:
        one, other = layer.tensors["lokr_w2_a"], layer.tensors["lokr_w2_b"]
        if core is None:
            second = (one @ other.flatten(1)).reshape(one.shape[0], *other.shape[1:])
        else:
            second = torch.einsum("mn...,mo,ni->oi...", core, one, other)
    _bounded(layer, first.numel(), second.numel())
    return first, second.contiguous()


def kronecker(first: Tensor, second: Tensor) -> Tensor:
    """(a, c) ⊗ (b, d, ...) as the matrix or kernel (ab, cd, ...)."""
    return torch.kron(first.reshape(*first.shape, *[1] * (second.dim() - 2)), second)


def _bounded(layer: Layer, rows: int, columns: int) -> None:
    if rows * columns > LARGEST:
        raise PrepError(
            f"{layer.name} would be a weight of {rows} × {columns}, larger than any of Stable Diffusion",
            "the file is damaged or not an adapter for Stable Diffusion",
        )


def _glora(layer: Layer, weight: Tensor) -> Tensor:
    """W a1 a2 + b1 b2, with W's kernel, if any, untouched by the a (Chavan et al. 2023, arXiv:2306.07967)."""
    a1, a2 = (layer.tensors[name].flatten(1) for name in ("a1.weight", "a2.weight"))
    b1, b2 = (layer.tensors[name].flatten(1) for name in ("b1.weight", "b2.weight"))
    along = torch.einsum("oi...,ir,rj->oj...", weight, a1, a2)
    return (along + (b1 @ b2).reshape(weight.shape)) * layer.scale


def rotations(layer: Layer, limit: float) -> Tensor:
    """Orthogonal blocks (..., b, b) by the Cayley transform of the skew part, its norm at most `limit` where above 0."""
    blocks = layer.tensors["oft_blocks"]
    skew = blocks - blocks.transpose(-1, -2)
    if limit > 0:
        norm = float(skew.norm()) + 1e-8
        skew = skew * min(1.0, limit / norm)
    identity = torch.eye(skew.shape[-1])
    turn: Tensor = torch.linalg.solve(identity - skew, identity + skew, left=False)
    return turn


def _oft(layer: Layer, weight: Tensor) -> Tensor:
    """Every block's rows rotated by its transpose (Qiu et al. 2023, arXiv:2306.07280), rows then rescaled."""
    turned = rotate(rotations(layer, (layer.alpha or 0.0) * weight.shape[0]), weight)
    return turned * _rescale(layer, weight) - weight


def rotate(blocks: Tensor, weight: Tensor) -> Tensor:
    rows = weight.reshape(blocks.shape[0], blocks.shape[1], -1)
    return torch.einsum("knm,knx->kmx", blocks, rows).reshape(weight.shape)


def _boft(layer: Layer, weight: Tensor) -> Tensor:
    """Butterflies of rotations, stage after stage (Liu et al. 2023, arXiv:2311.06243)."""
    turned = weight.flatten(1)
    for stage, blocks in enumerate(rotations(layer, (layer.alpha or 0.0) * weight.shape[0])):
        turned = butterfly(blocks, turned, stage)
    return turned.reshape(weight.shape) * _rescale(layer, weight) - weight


def butterfly(blocks: Tensor, rows: Tensor, stage: int) -> Tensor:
    """Rotate (O, X) rows in groups that lie 2^stage · b/2 apart."""
    size = blocks.shape[-1]
    apart = 2**stage * (size // 2)
    mixed = rows.unflatten(0, (-1, 2, apart)).transpose(1, 2).flatten(0, 2).unflatten(0, (-1, size))
    turned = torch.einsum("bij,bjx->bix", blocks, mixed).flatten(0, 1)
    apart_again: Tensor = turned.unflatten(0, (-1, apart, 2)).transpose(1, 2).flatten(0, 2)
    return apart_again


def _rescale(layer: Layer, weight: Tensor) -> Tensor:
    scale = layer.get("rescale")
    return torch.ones(()) if scale is None else scale.reshape(-1, *[1] * (weight.dim() - 1))


def _ia3(layer: Layer, weight: Tensor) -> Tensor:
    """Inputs or outputs scaled by 1 + w (Liu et al. 2022, arXiv:2205.05638)."""
    scale, ones = layer.tensors["weight"].flatten(), [1] * (weight.dim() - 2)
    on_input = bool(layer.tensors["on_input"])
    return weight * (scale.reshape(1, -1, *ones) if on_input else scale.reshape(-1, 1, *ones))


def _decomposed(layer: Layer, weight: Tensor, delta: Tensor) -> Tensor:
    """DoRA (Liu et al. 2024, arXiv:2402.09353): the changed weight brought to the learned norms, less the weight."""
    changed, magnitude = weight + delta, layer.tensors["dora_scale"]
    along = axis_norm(changed, 1 if layer.dora == "input" else 0)
    return changed * (magnitude.reshape(along.shape) / along) - weight


def axis_norm(weight: Tensor, axis: int) -> Tensor:
    """The norm of every slice along `axis`, with dimensions kept, and a little above 0."""
    others = [dim for dim in range(weight.dim()) if dim != axis]
    norm: Tensor = torch.linalg.vector_norm(weight, dim=others, keepdim=True) + torch.finfo(weight.dtype).eps
    return norm
