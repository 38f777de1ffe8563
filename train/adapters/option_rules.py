"""Which options go with which algorithm; what would do nothing, or cannot be, is said before the run. No torch here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from train.adapters.algorithms.algorithm import Conflict
from train.adapters.algorithms.options import OPTIONS
from train.adapters.config import AdapterConfig
from train.adapters.names.blocks import BASE, NAMES
from train.adapters.registry import ALGORITHMS

if TYPE_CHECKING:
    from train.adapters.options import AdapterOptions

TAKES: Mapping[str, tuple[str, ...]] = {
    option: tuple(name for name, algorithm in ALGORITHMS.items() if option in algorithm.takes) for option in OPTIONS
}
"""Option → algorithms for which it does anything."""
LOW_RANK = TAKES["alpha"]
"""Those whose change is scaled with alpha / rank."""


def convolutions_of(options: AdapterOptions) -> bool:
    """Whether the UNet's resnet, down- and upsampling layers are adapted."""
    auto = ALGORITHMS[options.algorithm].convolutions
    return auto if options.convolutions == "auto" else options.convolutions == "yes"


def adapter_config(options: AdapterOptions) -> AdapterConfig:
    """What kind of adapter a run trains."""
    return AdapterConfig(
        algorithm=options.algorithm,
        rank=options.rank,
        alpha=options.alpha,
        convolutions=convolutions_of(options),
        conv_rank=options.conv_rank,
        conv_alpha=options.conv_alpha,
        text_encoder=options.train_text_encoder,
        train_norm=options.train_norm,
        factor=options.factor,
        decompose_both=options.decompose_both,
        full_matrix=options.full_matrix,
        dora=options.dora,
        rank_stabilized=options.rank_stabilized,
        tucker=options.tucker,
        unit=options.rank_unit,
        rank_dropout=options.rank_dropout,
        module_dropout=options.module_dropout,
        network_dropout=options.network_dropout,
        blocks=options.blocks,
        block_ranks=options.block_ranks,
        block_alphas=options.block_alphas,
    )


def algorithm_conflicts(options: AdapterOptions) -> Iterator[Conflict]:
    """(what is wrong and why, what to type) of every option that the algorithm cannot use."""
    algorithm, fields = ALGORITHMS[options.algorithm], type(options).__dataclass_fields__
    for option, algorithms in TAKES.items():
        value, item = getattr(options, option), fields[option]
        default = item.default_factory() if callable(item.default_factory) else item.default
        if value != default and option not in algorithm.takes:
            yield (
                f"{option} is {value!r}, but algorithm {algorithm.name} {algorithm.lacks.get(option, 'does not use it')}",
                f"leave {option} out, or use algorithm = " + " or ".join(f'"{each}"' for each in algorithms),
            )
    if options.convolutions in algorithm.convolutions_refused:
        yield algorithm.convolutions_refused[options.convolutions]
    if options.tucker and not convolutions_of(options):
        yield "tucker is true, but decomposes large convolutions only, and none is adapted", "leave tucker out"
    yield from algorithm.conflicts(adapter_config(options))
    yield from _dropouts(options)
    yield from _blocks(options)


def _dropouts(options: AdapterOptions) -> Iterator[tuple[str, str]]:
    if options.dora and options.network_dropout:
        yield (
            f"network_dropout is {options.network_dropout}, but with dora a layer's output is one with its change",
            "leave network_dropout or dora out, or use rank_dropout",
        )


def _blocks(options: AdapterOptions) -> Iterator[tuple[str, str]]:
    for option in ("blocks", "block_ranks", "block_alphas"):
        chosen = getattr(options, option)
        unknown = [name for name in chosen if name not in NAMES]
        if unknown:
            yield (
                f"{option} names {unknown[0]!r}, which is no block",
                "use IN, MID, OUT or BASE for whole sections, or IN00 to IN11, M00, OUT00 to OUT11",
            )
        if BASE in chosen and not options.train_text_encoder:
            yield f"{option} names BASE, but the text encoder is not trained", "use train_text_encoder = true"
        minimum = 0 if option == "blocks" else 1 if option == "block_ranks" else 1e-9
        for name, value in chosen.items():
            if value < minimum:
                yield f"{option} gives {name} {value!r}", f"give {'0' if option == 'blocks' else 'something above 0'}"
    if options.blocks and not any(options.blocks.values()) and {"IN", "MID", "OUT"} <= options.blocks.keys():
        yield "blocks leaves every block of the UNet out", "give at least one of them a share above 0"
