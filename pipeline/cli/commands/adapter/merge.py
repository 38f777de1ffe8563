"""Several adapters added up, into one or into a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.adapter_table import number
from pipeline.cli.commands.adapter.flags import (
    BASE_HELP,
    MODEL_HELP,
    PATH,
    as_json,
    checkpoint_of,
    cut_of,
    dtype,
    dtype_of,
    energy,
    finish,
    output,
    overwrite,
    rank,
    there,
)
from pipeline.cli.options import Number, Pair
from pipeline.core.errors import PrepError

if TYPE_CHECKING:
    from train.adapters.files.weights import Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeOptions:
    """What is merged and how, as the flags say; every weight is one for all files or one for each."""

    into: str | None
    base: str | None
    overall: tuple[float, ...]
    unet: tuple[float, ...]
    text_encoder: tuple[float, ...]
    block: tuple[tuple[str, float], ...]
    rank: int | None
    energy: float | None
    dtype: str | None


@click.command()
@click.argument("files", metavar="FILE...", type=PATH, nargs=-1, required=True, callback=there)
@output
@click.option("--into", help="Write a checkpoint: this one with the adapters added. " + MODEL_HELP)
@click.option("--base", help=BASE_HELP + " Needed to merge GLoRA, OFT, (IA)³ and DoRA into one adapter.")
@click.option("--weight", "overall", type=Number(), multiple=True, help="Weight; one for all, or one for each FILE.")
@click.option("--unet", type=Number(), multiple=True, help="More weight of the U-Net; one for all or for each FILE.")
@click.option("--text-encoder", type=Number(), multiple=True, help="The same of the text encoders.")
@click.option(
    "--block",
    type=Pair(Number()),
    multiple=True,
    help="More weight of a block, such as OUT04=0.5; 2:OUT04=0.5 for the second FILE only. BASE is the text encoders. "
    "Repeatable.",
)
@rank
@energy
@dtype
@overwrite
@as_json
def merge(files: tuple[Path, ...], output: Path, overwrite: bool, as_json: bool, **values: Any) -> None:
    """Add adapters up, into one adapter or, with --into, into a checkpoint.

    What is added is what the files do to the weights, never their factors. One adapter holds the ranks of all side by
    side; with --rank or --energy it is the best LoRA of that size, and what is lost is told.
    """
    from train.adapters.files.merge import merge_adapters
    from train.adapters.files.merged_model import merge_into
    from train.adapters.files.reader import open_adapter

    options = MergeOptions(**values)
    into, base = options.into, options.base
    if into and (base or options.rank or options.energy or options.dtype):
        raise click.UsageError("--base, --rank, --energy and --dtype are for merging into one adapter, not for --into")
    weights = _weights(len(files), options)
    sources = [(open_adapter(file), weight) for file, weight in zip(files, weights, strict=True)]
    if into:
        done = merge_into(checkpoint_of(into), sources, output, overwrite)
    else:
        base_model = checkpoint_of(base) if base else None
        cut = cut_of(options.rank, options.energy) if options.rank or options.energy else None
        done = merge_adapters(sources, output, base_model, cut, dtype_of(options.dtype), overwrite)
    result = {"file": str(done.file), "layers": done.layers, "forms": dict(done.forms), "residual": done.residual}
    lost = f"; {done.residual:.2%} of the norm is left out" if done.residual else ""
    finish(
        result,
        as_json,
        f"wrote {done.file}: {number(done.layers, 'layer')} of {number(len(files), 'adapter')}{lost}",
        [],
    )


def _weights(count: int, options: MergeOptions) -> list[Weights]:
    """The weights of every file."""
    from train.adapters.files.weights import Weights

    each = [
        _each(count, values, flag)
        for values, flag in (
            (options.overall, "--weight"),
            (options.unet, "--unet"),
            (options.text_encoder, "--text-encoder"),
        )
    ]
    own: list[dict[str, float]] = [{} for _ in range(count)]
    for name, value in options.block:
        number, colon, block = name.partition(":")
        if colon and not (number.isdecimal() and 1 <= int(number) <= count):
            raise PrepError(f"--block {name}={value:g}: there is no file {number}", f"files are numbered 1 to {count}")
        for index in [int(number) - 1] if colon else range(count):
            own[index][(block if colon else name).upper()] = value
    return [Weights(each[0][index], each[1][index], each[2][index], own[index]) for index in range(count)]


def _each(count: int, values: Sequence[float], flag: str) -> list[float]:
    """One value per file, of none (1), one for all, or one for each."""
    if len(values) not in (0, 1, count):
        raise click.UsageError(f"{flag} is given {len(values)} times for {count} files; give it once or for each")
    return [1.0] * count if not values else list(values) * (count if len(values) == 1 else 1)
