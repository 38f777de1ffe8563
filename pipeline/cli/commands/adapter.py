"""Look at adapter files, convert them for other programs, merge, extract and resize them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli import console
from pipeline.cli.adapter_table import client_rows, facts, number
from pipeline.cli.options import Number, Pair
from pipeline.core.errors import PrepError

if TYPE_CHECKING:
    from train.adapters.files.checkpoints import Checkpoint
    from train.adapters.files.spectrum import Cut
    from train.adapters.files.weights import Weights
    from train.models.precision import Dtype

PATH = click.Path(path_type=Path)
DTYPES = click.Choice(["fp16", "bf16", "fp32"])
TARGETS = ("universal", "a1111", "forge", "comfyui", "diffusers")
MODEL_HELP = "A folder in diffusers format, a single .safetensors file, or miniature."
BASE_HELP = f"The base model. {MODEL_HELP}"

as_json = click.option("as_json", "--json", is_flag=True, help="Print one JSON document to stdout.")
overwrite = click.option("--overwrite", is_flag=True, help="Replace what --output names.")
output = click.option("--output", "-o", type=PATH, required=True, help="What to write.")
dtype = click.option("--dtype", type=DTYPES, help="Precision of the weights; the source's if not given.")
rank = click.option("--rank", type=click.IntRange(1), help="Rank of every layer, or the most with --energy.")
energy = click.option(
    "--energy",
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of the squared singular values that every layer keeps, such as 0.99.",
)


def there(
    context: click.Context, parameter: click.Parameter, value: Path | tuple[Path, ...]
) -> Path | tuple[Path, ...]:
    """The files given, once it is seen, before anything large is loaded, that they are there."""
    for file in value if isinstance(value, tuple) else (value,):
        if file.is_dir():
            raise PrepError(f"{file} is a folder", "give an adapter's .safetensors file")
        if not file.is_file():
            raise PrepError(f"there is no file {file}", "check the path")
    return value


@click.group(short_help="Look at adapter files, convert, merge, extract and resize them.")
def command() -> None:
    """Look at adapter files, convert them for other programs, merge, extract and resize them."""


@command.command()
@click.argument("file", type=PATH, callback=there)
@click.option("--base", help=BASE_HELP + " With it the norms of layers that depend on it are known.")
@as_json
def info(file: Path, base: str | None, as_json: bool) -> None:
    """What a file is: algorithms, ranks, strength by block, metadata, and which programs render it."""
    from train.adapters.files.info import describe
    from train.adapters.files.reader import open_adapter

    found = describe(open_adapter(file), _checkpoint(base) if base else None)
    if as_json:
        console.print_json(found)
        return
    _show_info(found)


@command.command()
@click.argument("file", type=PATH, callback=there)
@output
@click.option(
    "--for",
    "target",
    type=click.Choice(TARGETS),
    default="universal",
    show_default=True,
    help="Who shall render it. universal is A1111, Forge and ComfyUI at once; diffusers, which knows plain LoRA only, "
    "gets larger files, which the others read too.",
)
@click.option("--base", help=BASE_HELP + " Needed for GLoRA, OFT, (IA)³ and DoRA along the outputs.")
@dtype
@overwrite
@as_json
def convert(
    file: Path, output: Path, target: str, base: str | None, dtype: str | None, overwrite: bool, as_json: bool
) -> None:
    """Rewrite a file exactly, so that other programs render it as it was trained.

    Every layer that they render already stays as it is; the others become the smallest form that does the very same.
    """
    from train.adapters.files.convert import convert_file
    from train.adapters.files.reader import open_adapter

    base_model = _checkpoint(base) if base else None
    done = convert_file(open_adapter(file), output, target, base_model, _dtype(dtype), overwrite)
    result = {"file": str(done.file), "for": target, "layers": dict(done.layers), "largest_rank": done.largest_rank}
    _finish(
        result, as_json, f"wrote {done.file} for {target}", [{"layers": n, "form": k} for k, n in done.layers.items()]
    )


@command.command()
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
def merge(
    files: tuple[Path, ...],
    output: Path,
    into: str | None,
    base: str | None,
    overall: tuple[float, ...],
    unet: tuple[float, ...],
    text_encoder: tuple[float, ...],
    block: tuple[tuple[str, float], ...],
    rank: int | None,
    energy: float | None,
    dtype: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Add adapters up, into one adapter or, with --into, into a checkpoint.

    What is added is what the files do to the weights, never their factors. One adapter holds the ranks of all side by
    side; with --rank or --energy it is the best LoRA of that size, and what is lost is told.
    """
    from train.adapters.files.merge import merge_adapters
    from train.adapters.files.merged_model import merge_into
    from train.adapters.files.reader import open_adapter

    if into and (base or rank or energy or dtype):
        raise click.UsageError("--base, --rank, --energy and --dtype are for merging into one adapter, not for --into")
    weights = _weights(len(files), overall, unet, text_encoder, block)
    sources = [(open_adapter(file), weight) for file, weight in zip(files, weights, strict=True)]
    if into:
        done = merge_into(_checkpoint(into), sources, output, overwrite)
    else:
        base_model = _checkpoint(base) if base else None
        cut = _cut(rank, energy) if rank or energy else None
        done = merge_adapters(sources, output, base_model, cut, _dtype(dtype), overwrite)
    result = {"file": str(done.file), "layers": done.layers, "forms": dict(done.forms), "residual": done.residual}
    lost = f"; {done.residual:.2%} of the norm is left out" if done.residual else ""
    _finish(
        result,
        as_json,
        f"wrote {done.file}: {number(done.layers, 'layer')} of {number(len(files), 'adapter')}{lost}",
        [],
    )


@command.command()
@click.argument("base")
@click.argument("tuned")
@output
@rank
@energy
@click.option("--conv-rank", type=click.IntRange(1), help="Rank of larger convolutions too (LoCon).")
@click.option("--conv", is_flag=True, help="Larger convolutions too (LoCon), as --rank and --energy say.")
@click.option("--text-encoder/--no-text-encoder", default=True, show_default=True, help="Extract text encoders too.")
@click.option("--dtype", type=DTYPES, default="fp16", show_default=True, help="Precision of the weights.")
@overwrite
@as_json
def extract(
    base: str,
    tuned: str,
    output: Path,
    rank: int | None,
    energy: float | None,
    conv_rank: int | None,
    conv: bool,
    text_encoder: bool,
    dtype: str,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Make a LoRA of the difference between checkpoint TUNED and the checkpoint BASE it was trained from.

    Either is a folder in diffusers format or a single .safetensors file. What the rank leaves out is told by block.
    """
    from train.adapters.files.extract import extract_file

    cut = _cut(rank, energy)
    conv_cut = _cut(conv_rank, energy) if conv_rank else cut if conv else None
    precision = _dtype(dtype)
    assert precision is not None
    with console.progress_bars() as progress:
        done = extract_file(
            _checkpoint(base), _checkpoint(tuned), output, cut, conv_cut, text_encoder, precision, overwrite, progress
        )
    result = {
        "file": str(done.file),
        "ranks": {str(rank): count for rank, count in sorted(done.ranks.items())},
        "equal_layers": done.equal,
        "residual": done.residual.total,
        "blocks": done.residual.rows(),
    }
    layers = sum(done.ranks.values())
    words = f"wrote {done.file}: {number(layers, 'layer')}, {done.equal} do not differ; {done.residual.total:.2%} is left out"
    _finish(result, as_json, words, done.residual.rows())


@command.command()
@click.argument("file", type=PATH, callback=there)
@output
@rank
@energy
@click.option(
    "--frobenius",
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of the Frobenius norm that every layer keeps; its square is the energy.",
)
@dtype
@overwrite
@as_json
def resize(
    file: Path,
    output: Path,
    rank: int | None,
    energy: float | None,
    frobenius: float | None,
    dtype: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write a file at a lower rank, with alpha so that it acts as strongly as before.

    LoHa and LoKr become LoRA. Layers without factors stay as they are.
    """
    from train.adapters.files.reader import open_adapter
    from train.adapters.files.resize import resize_file

    if energy and frobenius:
        raise click.UsageError("give --energy or --frobenius, not both")
    cut = _cut(rank, frobenius**2 if frobenius else energy)
    done = resize_file(open_adapter(file), output, cut, _dtype(dtype), overwrite)
    result = {
        "file": str(done.file),
        "ranks": {str(rank): count for rank, count in sorted(done.ranks.items())},
        "kept": dict(done.kept),
        "residual": done.residual.total,
        "blocks": done.residual.rows(),
    }
    for kind, count in done.kept.items():
        console.warn(f"{number(count, 'layer')} of {kind} without low-rank factors: left as in the source")
    ranks = ", ".join(f"rank {rank}: {number(count, 'layer')}" for rank, count in sorted(done.ranks.items()))
    _finish(result, as_json, f"wrote {done.file}: {ranks}; {done.residual.total:.2%} is left out", done.residual.rows())


# --- what flags mean


def _checkpoint(name: str) -> Checkpoint:
    from train.adapters.files.checkpoints import open_checkpoint
    from train.models.locate import MINIATURE, find_folder

    return open_checkpoint(find_folder(name, None) if name == MINIATURE else Path(name))


def _dtype(name: str | None) -> Dtype | None:
    from train.models.precision import DTYPES

    return None if name is None else DTYPES[name]


def _cut(rank: int | None, energy: float | None) -> Cut:
    from train.adapters.files.spectrum import Cut

    if rank is None and energy is None:
        raise click.UsageError("say how much to keep: --rank 32, or --energy 0.99")
    return Cut(rank, energy)


def _weights(
    count: int,
    overall: Sequence[float],
    unet: Sequence[float],
    text_encoder: Sequence[float],
    blocks: Sequence[tuple[str, float]],
) -> list[Weights]:
    from train.adapters.files.weights import Weights

    each = [
        _each(count, values, flag)
        for values, flag in ((overall, "--weight"), (unet, "--unet"), (text_encoder, "--text-encoder"))
    ]
    own: list[dict[str, float]] = [{} for _ in range(count)]
    for name, value in blocks:
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


# --- what is shown


def _finish(result: dict[str, Any], as_json: bool, words: str, rows: list[dict[str, Any]]) -> None:
    if as_json:
        console.print_json(result)
        return
    console.print_table(rows)
    console.say(words)


def _show_info(found: dict[str, Any]) -> None:
    told = facts(found)
    width = max(map(len, told))
    for name, value in told.items():
        click.echo(f"{name:<{width}}  {console.printable(value)}")
    click.echo("")
    console.print_table(found["blocks"])
    click.echo("")
    console.print_table(client_rows(found["clients"]))
    for problem in found["problems"]:
        console.warn(problem)
    for key in found["unknown"]:
        console.warn(f"{key}: not a key of any known adapter")
