"""Adapters added up, into one adapter or into a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli import console
from pipeline.cli.commands.adapter import flags
from pipeline.cli.commands.adapter.table import number
from pipeline.cli.options import Number, Pair
from pipeline.core.errors import PrepError

if TYPE_CHECKING:
    from train.adapters.files.weights import Weights


@click.command()
@click.argument("files", metavar="FILE...", type=flags.PATH, nargs=-1, required=True, callback=flags.there)
@flags.output
@click.option("--into", help="Write a checkpoint: this one with the adapters added. " + flags.MODEL_HELP)
@click.option("--base", help=flags.BASE_HELP + " Needed to merge GLoRA, OFT, (IA)³ and DoRA into one adapter.")
@click.option("--weight", "overall", type=Number(), multiple=True, help="Weight; one for all, or one for each FILE.")
@click.option("--unet", type=Number(), multiple=True, help="More weight of the U-Net; one for all or for each FILE.")
@click.option("--text-encoder", type=Number(), multiple=True, help="The same of the text encoders.")
@click.option(
    "--block",
    "blocks",
    type=Pair(Number()),
    multiple=True,
    help="More weight of a block, such as OUT04=0.5; 2:OUT04=0.5 for the second FILE only. BASE is the text encoders. "
    "Repeatable.",
)
@flags.rank
@flags.energy
@flags.dtype
@flags.written
def merge(files: tuple[Path, ...], output: Path, into: str | None, base: str | None, **values: Any) -> None:
    """Add adapters up, into one adapter or, with --into, into a checkpoint.

    What is added is what the files do to the weights, never their factors. One adapter holds the ranks of all side by
    side; with --rank or --energy it is the best LoRA of that size, and what is lost is said.
    """
    from train.adapters.files.reader import open_adapter
    from train.adapters.operations.merge import merge_adapters
    from train.adapters.operations.merged_model import merge_into

    rank, energy, dtype, overwrite = (values[name] for name in ("rank", "energy", "dtype", "overwrite"))
    if into and (base or rank or energy or dtype):
        raise click.UsageError("--base, --rank, --energy and --dtype are for merging into one adapter, not for --into")
    weights = _weights(len(files), values)
    sources = [(open_adapter(file), weight) for file, weight in zip(files, weights, strict=True)]
    if into:
        done = merge_into(flags.checkpoint(into), sources, output, overwrite)
    else:
        base_model = flags.checkpoint(base) if base else None
        cut = flags.cut(rank, energy) if rank or energy else None
        done = merge_adapters(sources, output, base_model, cut, flags.precision(dtype), overwrite)
    for source, _ in sources:
        if source.embeddings:
            console.warn(f"{source.path}: {len(source.embeddings)} weights of textual inversions are left out")
    result = {"file": str(done.file), "layers": done.layers, "forms": dict(done.forms), "residual": done.residual}
    lost = f"; {done.residual:.2%} of the norm is left out" if done.residual else ""
    words = f"wrote {done.file}: {number(done.layers, 'layer')} of {number(len(files), 'adapter')}{lost}"
    flags.finish(result, values["as_json"], words, [])


def _weights(count: int, values: Mapping[str, Any]) -> list[Weights]:
    """How strongly each of `count` files counts."""
    from train.adapters.files.weights import Weights

    given = (("overall", "--weight"), ("unet", "--unet"), ("text_encoder", "--text-encoder"))
    overall, unet, text_encoder = (_each(count, values[name], flag) for name, flag in given)
    blocks = _blocks(count, values["blocks"])
    return [Weights(overall[index], unet[index], text_encoder[index], blocks[index]) for index in range(count)]


def _blocks(count: int, given: Sequence[tuple[str, float]]) -> list[dict[str, float]]:
    """Each file's weights of blocks."""
    own: list[dict[str, float]] = [{} for _ in range(count)]
    for name, value in given:
        which, colon, block = name.partition(":")
        if colon and not (which.isdecimal() and 1 <= int(which) <= count):
            raise PrepError(f"--block {name}={value:g}: there is no file {which}", f"files are numbered 1 to {count}")
        for index in [int(which) - 1] if colon else range(count):
            own[index][(block if colon else name).upper()] = value
    return own


def _each(count: int, values: Sequence[float], flag: str) -> list[float]:
    """One value per file, of none (1), one for all, or one for each."""
    if len(values) not in (0, 1, count):
        raise click.UsageError(f"{flag} is given {len(values)} times for {count} files; give it once or for each")
    return [1.0] * count if not values else list(values) * (count if len(values) == 1 else 1)
