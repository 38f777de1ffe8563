"""An adapter file rewritten for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.commands.adapter.flags import (
    BASE_HELP,
    PATH,
    as_json,
    checkpoint_of,
    dtype,
    dtype_of,
    finish,
    output,
    overwrite,
    there,
)

TARGETS = ("universal", "a1111", "forge", "comfyui", "diffusers")


@click.command()
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

    base_model = checkpoint_of(base) if base else None
    done = convert_file(open_adapter(file), output, target, base_model, dtype_of(dtype), overwrite)
    result = {"file": str(done.file), "for": target, "layers": dict(done.layers), "largest_rank": done.largest_rank}
    finish(
        result, as_json, f"wrote {done.file} for {target}", [{"layers": n, "form": k} for k, n in done.layers.items()]
    )
