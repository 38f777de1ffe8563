"""An adapter file at another rank."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipeline.cli import console
from pipeline.cli.commands.adapter import flags
from pipeline.cli.commands.adapter.table import number


@click.command()
@flags.file
@flags.output
@flags.rank
@flags.energy
@click.option(
    "--frobenius",
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of the Frobenius norm that every layer keeps; its square is the energy.",
)
@flags.dtype
@flags.written
def resize(file: Path, output: Path, **values: Any) -> None:
    """Write a file at a lower rank, with alpha so that it acts as strongly as before.

    LoHa and LoKr become LoRA. Layers without factors stay as they are.
    """
    from train.adapters.files.reader import open_adapter
    from train.adapters.operations.resize import resize_file

    energy, frobenius = values["energy"], values["frobenius"]
    if energy and frobenius:
        raise click.UsageError("give --energy or --frobenius, not both")
    cut = flags.cut(values["rank"], frobenius**2 if frobenius else energy)
    done = resize_file(open_adapter(file), output, cut, flags.precision(values["dtype"]), values["overwrite"])
    result = {
        "file": str(done.file),
        "ranks": {str(rank): count for rank, count in sorted(done.ranks.items())},
        "kept": dict(done.kept),
        "residual": done.residual.total,
        "blocks": done.residual.rows(),
    }
    for kind, count in done.kept.items():
        what = (
            f"{count} {kind}" if "inversion" in kind else f"{number(count, 'layer')} of {kind} without low-rank factors"
        )
        console.warn(f"{what}: left as in the source")
    ranks = ", ".join(f"rank {rank}: {number(count, 'layer')}" for rank, count in sorted(done.ranks.items()))
    words = f"wrote {done.file}: {ranks}; {done.residual.total:.2%} is left out"
    flags.finish(result, values["as_json"], words, done.residual.rows())
