"""Flags that the subcommands have in common, what they mean, and how a subcommand ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipeline.cli import console
from pipeline.core.errors import PrepError

if TYPE_CHECKING:
    from train.adapters.files.checkpoints import Checkpoint
    from train.adapters.operations.spectrum import Cut
    from train.models.precision import Dtype

Command = TypeVar("Command", bound=Callable[..., Any])
PATH = click.Path(path_type=Path)
DTYPES = click.Choice(["fp16", "bf16", "fp32"])
MODEL_HELP = "A folder in diffusers format, a single .safetensors or .ckpt file, or miniature."
BASE_HELP = f"The base model. {MODEL_HELP}"


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


file = click.argument("file", type=PATH, callback=there)
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


def written(function: Command) -> Command:
    """Flags of every subcommand that writes a file, but its precision."""
    return overwrite(as_json(function))


def checkpoint(name: str) -> Checkpoint:
    from train.adapters.files.checkpoints import open_checkpoint
    from train.models.locate import MINIATURE, find_folder

    return open_checkpoint(find_folder(name, None) if name == MINIATURE else Path(name))


def precision(name: str | None) -> Dtype | None:
    from train.models.precision import DTYPES

    return None if name is None else DTYPES[name]


def cut(rank: int | None, energy: float | None) -> Cut:
    from train.adapters.operations.spectrum import Cut

    if rank is None and energy is None:
        raise click.UsageError("say how much to keep: --rank 32, or --energy 0.99")
    return Cut(rank, energy)


def finish(result: dict[str, Any], as_json: bool, words: str, rows: list[dict[str, Any]]) -> None:
    """Print the result as one JSON document, or rows and words."""
    if as_json:
        console.print_json(result)
        return
    console.print_table(rows)
    console.say(words)
