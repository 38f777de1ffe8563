"""An adapter file at a lower rank."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from pipeline.cli import console
from pipeline.cli.adapter_table import number
from pipeline.cli.commands.adapter.flags import (
    PATH,
    as_json,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeOptions:
    """How much of every layer is kept, as the flags say."""

    rank: int | None
    energy: float | None
    frobenius: float | None
    dtype: str | None


@click.command()
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
def resize(file: Path, output: Path, overwrite: bool, as_json: bool, **values: Any) -> None:
    """Write a file at a lower rank, with alpha so that it acts as strongly as before.

    LoHa and LoKr become LoRA. Layers without factors stay as they are.
    """
    from train.adapters.files.reader import open_adapter
    from train.adapters.files.resize import resize_file

    options = ResizeOptions(**values)
    energy, frobenius = options.energy, options.frobenius
    if energy and frobenius:
        raise click.UsageError("give --energy or --frobenius, not both")
    cut = cut_of(options.rank, frobenius**2 if frobenius else energy)
    done = resize_file(open_adapter(file), output, cut, dtype_of(options.dtype), overwrite)
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
    finish(result, as_json, f"wrote {done.file}: {ranks}; {done.residual.total:.2%} is left out", done.residual.rows())
