"""Compare adapters, strengths, base models and prompts side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pipeline.cli import console
from pipeline.cli.commands.grid.looking import looking_with
from pipeline.cli.commands.grid.making import made, show_plan, wanted_of
from pipeline.cli.commands.grid.source import Source, of_set
from pipeline.cli.options import Number
from pipeline.cli.set_folder import SET

PROMPT = "Prompt, with weights and <lora:NAME:0.8> as in A1111; may end with --n, --w, --h, --d, --s, --l, --ss."
NUMBERS = "A number, several with commas, or a range such as 0.4..1:0.2."


def _axis(flag: str, help: str, *names: str) -> Callable[[Any], Any]:
    return click.option(flag, *names, multiple=True, help=f"{help} Repeatable.")


@click.command(short_help="Compare adapters, strengths, base models and prompts side by side.")
@click.argument("root", metavar="[SET]", required=False, type=SET)
@click.option(
    "--run", "run", metavar="NAME", help="Training run of SET whose snapshots are compared.  [default: adapter]"
)
@_axis("--adapter", "Adapter file, `none` for the base model alone, or the name of a snapshot of the run.", "adapters")
@_axis("--base", "Base model: a single file, a folder in diffusers format, a hub repository, or miniature.", "bases")
@_axis(
    "--prompt",
    PROMPT,
    "prompts",
)
@click.option(
    "--prompts-file", "prompts_file", type=click.Path(path_type=Path, dir_okay=False), help="A file of such prompts."
)
@click.option(
    "--replace",
    metavar="OLD,NEW,…",
    default="",
    help="Put each of the others in the place of OLD in the prompts.",
)
@_axis("--negative", "Negative prompt.")
@_axis("--strength", f"Strength of the adapter. {NUMBERS}")
@_axis("--unet", "Strength of its U-Net part, times --strength.")
@_axis("--text", "Strength of its text encoder part, times --strength.")
@_axis(
    "--blocks",
    "Weights of its blocks: a preset (OUTD, MIDD …), 12, 17, 20 or 26 numbers, or pairs such as IN=0,OUT04=0.5.",
)
@_axis("--seed", f"Seed. {NUMBERS}  [default: 1000]")
@_axis("--sampler", "Sampler, such as `ddim`, `Euler a` or `DPM++ 2M Karras`.  [default: ddim]")
@_axis("--steps", "Sampling steps.  [default: 25]")
@_axis("--guidance", "Classifier-free guidance scale.  [default: 7]")
@_axis(
    "--clip-skip", "Text encoder layer, counted from the last.  [default: as the adapters were trained]", "clip_skip"
)
@click.option(
    "--guidance-rescale",
    "rescale",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Bring guidance back to the contrast of the unguided image.",
)
@click.option(
    "--size", metavar="WxH", help="Size in pixels.  [default: the set's commonest bucket, or the base model's own]"
)
@click.option(
    "--lora-folder",
    "folders",
    type=click.Path(path_type=Path, file_okay=False),
    multiple=True,
    help="Where <lora:NAME> in a prompt is looked for. Repeatable.",
)
@click.option(
    "--tagger",
    metavar="MODEL",
    help="Tagger that looks at the images, or `none`.  [default: the set's; without a SET none]",
)
@click.option("--x", "x", metavar="AXIS", help="What lies across, such as strength.")
@click.option("--y", "y", metavar="AXIS", help="What lies down.")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the images, page and sheets.  [default: SET/grids/RUN, or ./grid]",
)
@click.option(
    "--batch-size", type=click.IntRange(1), help="Images at once; as many as there is memory for, if not given."
)
@click.option("--mixed-precision", type=click.Choice(["auto", "no", "fp16", "bf16"]), default="auto", show_default=True)
@click.option("--vram", type=Number(), help="Memory of the card in GiB that the rest is chosen for.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N, xpu or mps.")
@click.option("--dry-run", is_flag=True, help="Say what would be made, and make nothing.")
@click.option("as_json", "--json", is_flag=True, help="Print one JSON document to stdout.")
def command(root: Path | None, output: Path | None, dry_run: bool, as_json: bool, **given: Any) -> None:
    """Compare adapters, strengths, base models and prompts side by side.

    Whatever is given more than once is an axis of the grid. With a SET, the adapters are the snapshots of its run, the prompts
    `1girl, TRIGGER`, and base model and size those of the training. Without one, --base and --prompt are needed, and with no
    --adapter the base model alone is asked.

    An image is kept by all that makes it: a grid that was interrupted or that grows costs only what is new.
    """
    source = of_set(root, given["run"] or "adapter") if root is not None else Source()
    folder = output or (root / "grids" / (given["run"] or "adapter") if root is not None else Path("grid"))
    wanted = wanted_of(source, given)
    missing = len(wanted.grid.missing(folder))
    if not as_json:
        show_plan(wanted, folder)
    if dry_run:
        if as_json:
            console.print_json({"folder": str(folder), "images": len(wanted.grid.keys), "missing": missing})
        return
    files, figures = made(wanted, folder, looking_with(source, given["tagger"]))
    if as_json:
        console.print_json(
            {
                "folder": str(folder),
                "images": len(wanted.grid.keys),
                "generated": missing,
                "files": [str(file) for file in files],
                "advice": list(figures.advice) if figures else [],
            }
        )
    else:
        for sentence in figures.advice if figures else ():
            console.say(sentence)
        for file in files:
            click.echo(console.printable(file))
        if root is not None:
            console.say(
                f"next: prep review {root} shows it under Runs; prep adopt {root} IMAGE takes an image into the set"
            )
