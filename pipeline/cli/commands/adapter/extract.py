"""An adapter of what lies between two checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipeline.cli import console
from pipeline.cli.commands.adapter import flags
from pipeline.cli.commands.adapter.table import number


@click.command()
@click.argument("base")
@click.argument("tuned")
@flags.output
@flags.rank
@flags.energy
@click.option("--conv-rank", type=click.IntRange(1), help="Rank of larger convolutions too (LoCon).")
@click.option("--conv", is_flag=True, help="Larger convolutions too (LoCon), as --rank and --energy say.")
@click.option("--text-encoder/--no-text-encoder", default=True, show_default=True, help="Extract text encoders too.")
@click.option("--dtype", type=flags.DTYPES, default="fp16", show_default=True, help="Precision of the weights.")
@flags.written
def extract(base: str, tuned: str, output: Path, **values: Any) -> None:
    """Make a LoRA of the difference between checkpoint TUNED and the checkpoint BASE it was trained from.

    Either is a folder in diffusers format or a single .safetensors or .ckpt file. What the rank leaves out is said by block.
    """
    from train.adapters.operations.extract import Extraction, extract_file

    cut = flags.cut(values["rank"], values["energy"])
    conv_rank = values["conv_rank"]
    conv_cut = flags.cut(conv_rank, values["energy"]) if conv_rank else cut if values["conv"] else None
    what = Extraction(cut, conv_cut, values["text_encoder"])
    dtype = flags.precision(values["dtype"])
    assert dtype is not None
    one, other = flags.checkpoint(base), flags.checkpoint(tuned)
    with console.progress_bars() as progress:
        done = extract_file(one, other, output, what, dtype, values["overwrite"], progress)
    result = {
        "file": str(done.file),
        "ranks": {str(rank): count for rank, count in sorted(done.ranks.items())},
        "equal_layers": done.equal,
        "residual": done.residual.total,
        "blocks": done.residual.rows(),
    }
    layers = number(sum(done.ranks.values()), "layer")
    words = f"wrote {done.file}: {layers}, {done.equal} do not differ; {done.residual.total:.2%} is left out"
    flags.finish(result, values["as_json"], words, done.residual.rows())
