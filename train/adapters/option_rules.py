"""Which options go with which algorithm; what would do nothing, or cannot be, is said before the run. No torch here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from train.adapters.config import AdapterConfig
from train.adapters.names.blocks import BASE, NAMES

if TYPE_CHECKING:
    from train.adapters.options import AdapterOptions

LOW_RANK = ("lora", "locon", "loha", "lokr", "glora", "dylora")
CONVOLUTIONAL = ("locon", "loha", "lokr", "glora", "dylora", "full", "oft", "boft", "norm")
"""Those that adapt the UNet's resnets and samplers too, unless told otherwise."""
TAKES = {
    "rank": (*LOW_RANK, "oft", "boft"),
    "alpha": LOW_RANK,
    "conv_rank": (*LOW_RANK, "oft", "boft"),
    "conv_alpha": LOW_RANK,
    "block_ranks": (*LOW_RANK, "oft", "boft"),
    "block_alphas": LOW_RANK,
    "factor": ("lokr",),
    "decompose_both": ("lokr",),
    "full_matrix": ("lokr",),
    "dora": ("lora", "locon", "loha", "lokr"),
    "rank_stabilized": LOW_RANK,
    "tucker": ("locon", "loha", "lokr"),
    "rank_unit": ("dylora",),
    "rank_dropout": ("lora", "locon", "loha", "lokr", "glora"),
    "network_dropout": (*LOW_RANK, "full", "oft", "boft", "ia3"),
    "train_norm": (*LOW_RANK, "full", "oft", "boft", "ia3"),
    "scale_weight_norms": (*LOW_RANK, "full"),
}
"""Option → algorithms for which it does anything."""
WHY = {
    "rank": "has no rank",
    "alpha": "is not scaled by alpha / rank",
    "conv_rank": "has no rank",
    "conv_alpha": "is not scaled by alpha / rank",
    "block_ranks": "has no rank",
    "block_alphas": "is not scaled by alpha / rank",
    "dora": "has no direction to take a magnitude",
    "rank_stabilized": "is not scaled by alpha / rank",
    "tucker": "has no core to decompose",
    "rank_dropout": "has no ranks that could be left out",
    "network_dropout": "has no neurons between",
    "train_norm": "trains them anyway",
    "scale_weight_norms": "has no product of factors to scale",
}


def convolutions_of(recipe: AdapterOptions) -> bool:
    """Whether the UNet's resnet, down- and upsampling layers are adapted."""
    return recipe.algorithm in CONVOLUTIONAL if recipe.convolutions == "auto" else recipe.convolutions == "yes"


def adapter_shape(recipe: AdapterOptions) -> AdapterConfig:
    """What kind of adapter a run trains."""
    return AdapterConfig(
        algorithm=recipe.algorithm,
        rank=recipe.rank,
        alpha=recipe.alpha,
        convolutions=convolutions_of(recipe),
        conv_rank=recipe.conv_rank,
        conv_alpha=recipe.conv_alpha,
        text_encoder=recipe.train_text_encoder,
        train_norm=recipe.train_norm,
        factor=recipe.factor,
        decompose_both=recipe.decompose_both,
        full_matrix=recipe.full_matrix,
        dora=recipe.dora,
        rank_stabilized=recipe.rank_stabilized,
        tucker=recipe.tucker,
        unit=recipe.rank_unit,
        rank_dropout=recipe.rank_dropout,
        module_dropout=recipe.module_dropout,
        network_dropout=recipe.network_dropout,
        blocks=recipe.blocks,
        block_ranks=recipe.block_ranks,
        block_alphas=recipe.block_alphas,
    )


def algorithm_conflicts(recipe: AdapterOptions) -> Iterator[tuple[str, str]]:
    """(what is wrong and why, what to type) of every option that the algorithm cannot use."""
    fields = type(recipe).__dataclass_fields__
    for option, algorithms in TAKES.items():
        value, item = getattr(recipe, option), fields[option]
        default = item.default_factory() if callable(item.default_factory) else item.default
        if value != default and recipe.algorithm not in algorithms:
            yield (
                f"{option} is {value!r}, but algorithm {recipe.algorithm} {WHY.get(option, 'does not use it')}",
                f"leave {option} out, or use algorithm = " + " or ".join(f'"{each}"' for each in algorithms),
            )
    yield from _convolutions(recipe)
    yield from _together(recipe)
    yield from _dropouts(recipe)
    yield from _blocks(recipe)


def _convolutions(recipe: AdapterOptions) -> Iterator[tuple[str, str]]:
    if recipe.algorithm in ("lora", "ia3") and recipe.convolutions == "yes":
        yield (
            f'convolutions is "yes", but algorithm {recipe.algorithm} adapts the transformer layers only',
            'leave convolutions out, or use algorithm = "locon"',
        )
    if recipe.algorithm == "locon" and recipe.convolutions == "no":
        yield 'convolutions is "no", but locon is LoRA with convolutions', 'use algorithm = "lora"'
    if recipe.tucker and not convolutions_of(recipe):
        yield "tucker is true, but decomposes large convolutions only, and none is adapted", "leave tucker out"


def _together(recipe: AdapterOptions) -> Iterator[tuple[str, str]]:
    if recipe.algorithm == "lokr" and recipe.full_matrix:
        for option in ("decompose_both", "tucker", "rank_dropout", "rank_stabilized"):
            if getattr(recipe, option):
                yield (
                    f"{option} is {getattr(recipe, option)!r}, but with full_matrix no factor is of low rank",
                    f"leave {option} or full_matrix out",
                )
    if recipe.algorithm == "dylora" and recipe.rank_unit >= 1:
        for option in ("rank", "conv_rank"):
            if getattr(recipe, option) % recipe.rank_unit:
                yield (
                    f"{option} is {getattr(recipe, option)}, no multiple of rank_unit, {recipe.rank_unit}",
                    f"set {option} = {-(-getattr(recipe, option) // recipe.rank_unit) * recipe.rank_unit}",
                )
    if recipe.algorithm == "norm" and recipe.train_text_encoder:
        yield (
            "train_text_encoder is true, but readers of the file leave out changed norms of text encoders",
            "leave train_text_encoder out, or use another algorithm",
        )


def _dropouts(recipe: AdapterOptions) -> Iterator[tuple[str, str]]:
    if recipe.dora and recipe.network_dropout:
        yield (
            f"network_dropout is {recipe.network_dropout}, but with dora a layer's output is one with its change",
            "leave network_dropout or dora out, or use rank_dropout",
        )


def _blocks(recipe: AdapterOptions) -> Iterator[tuple[str, str]]:
    for option in ("blocks", "block_ranks", "block_alphas"):
        chosen = getattr(recipe, option)
        unknown = [name for name in chosen if name not in NAMES]
        if unknown:
            yield (
                f"{option} names {unknown[0]!r}, which is no block",
                "use IN, MID, OUT or BASE for whole sections, or IN00 to IN11, M00, OUT00 to OUT11",
            )
        if BASE in chosen and not recipe.train_text_encoder:
            yield f"{option} names BASE, but the text encoder is not trained", "use train_text_encoder = true"
        least = 0 if option == "blocks" else 1 if option == "block_ranks" else 1e-9
        for name, value in chosen.items():
            if value < least:
                yield f"{option} gives {name} {value!r}", f"give {'0' if option == 'blocks' else 'something above 0'}"
    if recipe.blocks and not any(recipe.blocks.values()) and {"IN", "MID", "OUT"} <= recipe.blocks.keys():
        yield "blocks leaves every block of the UNet out", "give at least one of them a share above 0"
    if recipe.algorithm == "dylora" and recipe.block_ranks and recipe.rank_unit >= 1:
        for name, rank in recipe.block_ranks.items():
            if rank % recipe.rank_unit:
                yield f"block_ranks gives {name} {rank}, no multiple of rank_unit", "give a multiple of it"
