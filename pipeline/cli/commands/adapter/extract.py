"""A LoRA of the difference between two checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from pipeline.cli import console
from pipeline.cli.adapter_table import number
from pipeline.cli.commands.adapter.flags import (
    DTYPES,
    as_json,
    checkpoint_of,
    cut_of,
    dtype_of,
    energy,
    finish,
    output,
    overwrite,
    rank,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractOptions:
    """How large the LoRA is and what it covers, as the flags say."""

    rank: int | None
    energy: float | None
    conv_rank: int | None
    conv: bool
    text_encoder: bool
    dtype: str


@click.command()
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
def extract(base: str, tuned: str, output: Path, overwrite: bool, as_json: bool, **values: Any) -> None:
    """Make a LoRA of the difference between checkpoint TUNED and the checkpoint BASE it was trained from.

    Either is a folder in diffusers format or a single .safetensors file. What the rank leaves out is told by block.
    """
    from train.adapters.files.extract import extract_file

    options = ExtractOptions(**values)
    cut = cut_of(options.rank, options.energy)
    conv_cut = cut_of(options.conv_rank, options.energy) if options.conv_rank else cut if options.conv else None
    precision = dtype_of(options.dtype)
    assert precision is not None
    with console.progress_bars() as progress:
        done = extract_file(
            checkpoint_of(base),
            checkpoint_of(tuned),
            output,
            cut,
            conv_cut,
            options.text_encoder,
            precision,
            overwrite,
            progress,
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
    finish(result, as_json, words, done.residual.rows())
