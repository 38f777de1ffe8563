"""An adapter file rewritten for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipeline.cli.commands.adapter import flags

TARGETS = ("universal", "a1111", "forge", "comfyui", "diffusers")


@click.command()
@flags.file
@flags.output
@click.option(
    "--for",
    "target",
    type=click.Choice(TARGETS),
    default="universal",
    show_default=True,
    help="Who shall render it. universal is A1111, Forge and ComfyUI at once; diffusers, which knows plain LoRA only, "
    "gets larger files, which the others read too.",
)
@click.option("--base", help=flags.BASE_HELP + " Needed for GLoRA, OFT, (IA)³ and DoRA along the outputs.")
@flags.dtype
@flags.written
def convert(file: Path, output: Path, target: str, base: str | None, **values: Any) -> None:
    """Rewrite a file exactly, so that other programs render it as it was trained.

    Every layer that they render already stays as it is; the others become the smallest form that does the very same.
    """
    from train.adapters.files.reader import open_adapter
    from train.adapters.operations.convert import convert_file

    base_model = flags.checkpoint(base) if base else None
    dtype = flags.precision(values["dtype"])
    done = convert_file(open_adapter(file), output, target, base_model, dtype, values["overwrite"])
    result = {"file": str(done.file), "for": target, "layers": dict(done.layers), "largest_rank": done.largest_rank}
    rows = [{"layers": count, "form": form} for form, count in done.layers.items()]
    flags.finish(result, values["as_json"], f"wrote {done.file} for {target}", rows)
