"""What the subcommands have in common: their arguments and options, what these stand for, and how a result is shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli import console
from pipeline.core.errors import PrepError

if TYPE_CHECKING:
    from train.adapters.files.checkpoints import Checkpoint
    from train.adapters.files.spectrum import Cut
    from train.models.precision import Dtype

PATH = click.Path(path_type=Path)
DTYPES = click.Choice(["fp16", "bf16", "fp32"])
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


def checkpoint_of(name: str) -> Checkpoint:
    from train.adapters.files.checkpoints import open_checkpoint
    from train.models.locate import MINIATURE, find_folder

    return open_checkpoint(find_folder(name, None) if name == MINIATURE else Path(name))


def dtype_of(name: str | None) -> Dtype | None:
    from train.models.precision import DTYPES

    return None if name is None else DTYPES[name]


def cut_of(rank: int | None, energy: float | None) -> Cut:
    from train.adapters.files.spectrum import Cut

    if rank is None and energy is None:
        raise click.UsageError("say how much to keep: --rank 32, or --energy 0.99")
    return Cut(rank, energy)


def finish(result: dict[str, Any], as_json: bool, words: str, rows: list[dict[str, Any]]) -> None:
    if as_json:
        console.print_json(result)
        return
    console.print_table(rows)
    console.say(words)
