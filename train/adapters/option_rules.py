"""Which options go with which algorithm; what would do nothing, or cannot be, is said before the run. No torch here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from train.adapters.algorithms.algorithm import Conflict
from train.adapters.algorithms.options import OPTIONS
from train.adapters.config import AdapterConfig
from train.adapters.names.blocks import BASE, NAMES
from train.adapters.registry import ALGORITHMS
from train.optimization.optimizers import KINDS

if TYPE_CHECKING:
    from train.options.recipe import Recipe

TAKES: Mapping[str, tuple[str, ...]] = {
    option: tuple(name for name, algorithm in ALGORITHMS.items() if option in algorithm.takes) for option in OPTIONS
}
"""Option → algorithms for which it does anything."""
LOW_RANK = TAKES["alpha"]
"""Those whose change is scaled with alpha / rank."""


def convolutions_of(recipe: Recipe) -> bool:
    """Whether the UNet's resnet, down- and upsampling layers are adapted."""
    auto = ALGORITHMS[recipe.algorithm].convolutions
    return auto if recipe.convolutions == "auto" else recipe.convolutions == "yes"


def adapter_config(recipe: Recipe) -> AdapterConfig:
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


def algorithm_conflicts(recipe: Recipe) -> Iterator[Conflict]:
    """(what is wrong and why, what to type) of every option that the algorithm cannot use."""
    algorithm, fields = ALGORITHMS[recipe.algorithm], type(recipe).__dataclass_fields__
    for option, algorithms in TAKES.items():
        value, item = getattr(recipe, option), fields[option]
        default = item.default_factory() if callable(item.default_factory) else item.default
        if value != default and option not in algorithm.takes:
            yield (
                f"{option} is {value!r}, but algorithm {algorithm.name} {algorithm.lacks.get(option, 'does not use it')}",
                f"leave {option} out, or use algorithm = " + " or ".join(f'"{each}"' for each in algorithms),
            )
    if recipe.convolutions in algorithm.convolutions_refused:
        yield algorithm.convolutions_refused[recipe.convolutions]
    if recipe.tucker and not convolutions_of(recipe):
        yield "tucker is true, but decomposes large convolutions only, and none is adapted", "leave tucker out"
    yield from algorithm.conflicts(adapter_config(recipe))
    yield from _dropouts(recipe)
    yield from _blocks(recipe)


def _dropouts(recipe: Recipe) -> Iterator[tuple[str, str]]:
    if recipe.dora and recipe.network_dropout:
        yield (
            f"network_dropout is {recipe.network_dropout}, but with dora a layer's output is one with its change",
            "leave network_dropout or dora out, or use rank_dropout",
        )


def _blocks(recipe: Recipe) -> Iterator[tuple[str, str]]:
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
    if KINDS[recipe.optimizer].adaptive and set(recipe.blocks.values()) - {0.0, 1.0}:
        yield (
            f"blocks gives shares of the learning rate, but {recipe.optimizer} finds one rate for all weights",
            "give 0 or 1 only, or use another optimizer",
        )
    if recipe.blocks and not any(recipe.blocks.values()) and {"IN", "MID", "OUT"} <= recipe.blocks.keys():
        yield "blocks leaves every block of the UNet out", "give at least one of them a share above 0"
