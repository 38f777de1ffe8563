"""Compare training runs: settings that differ, losses, and the same images side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipeline.cli import console
from pipeline.cli.commands.grid import command as grid
from pipeline.cli.commands.grid.looking import looking_with
from pipeline.cli.commands.grid.making import made, show_plan, wanted_of
from pipeline.cli.commands.grid.source import of_set
from pipeline.cli.commands.report import plain_name
from pipeline.cli.set_folder import SET
from pipeline.core.errors import PrepError


@click.command(short_help="Compare training runs: settings that differ, losses, and the same images side by side.")
@click.argument("root", metavar="SET", type=SET)
@click.argument("runs", metavar="RUN RUN...", nargs=-1, required=True)
@click.option("--prompt", "prompts", multiple=True, help="Prompt of the images. Repeatable.  [default: 1girl, TRIGGER]")
@click.option("--strength", multiple=True, help="Strength of the adapters, several with commas.  [default: 1]")
@click.option("--seed", multiple=True, help="Seeds, such as 1..4.  [default: 1000..1003]")
@click.option("--steps", multiple=True, help="Sampling steps.  [default: 25]")
@click.option("--size", metavar="WxH", help="Size in pixels.  [default: the set's commonest bucket]")
@click.option("--tagger", metavar="MODEL", help="Tagger that looks at the images, or `none`.  [default: the set's]")
@click.option("--images/--no-images", default=True, help="Whether images are made.  [default: images]")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of pages and images.  [default: SET/grids/RUN-RUN]",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N, xpu or mps.")
@click.option("as_json", "--json", is_flag=True, help="Print one JSON document to stdout.")
def command(root: Path, runs: tuple[str, ...], output: Path | None, images: bool, as_json: bool, **given: Any) -> None:
    """Compare training runs: settings that differ, losses, and the same images side by side.

    The images are of each run's finished adapter, and without one, from the same prompts and seeds; the set's tagger looks at
    them. They are kept: what was made once is not made again.
    """
    from pipeline.report.run.comparison import comparison, write_comparison
    from pipeline.report.run.facts import collect_run

    names = _checked(root, runs)
    found = comparison([collect_run(root / "runs" / name) for name in names])
    folder = output or root / "grids" / "-".join(names)[:100]
    page, advice = "", tuple[str, ...]()
    if not as_json:
        console.print_table(
            [{"": row.name} | dict(zip(names, row.values, strict=True)) for row in (*found.settings, *found.results)]
        )
    if images:
        page, advice = _images(root, names, folder, given, as_json)
    file = write_comparison(found, folder / "compare.html", page)
    if as_json:
        rows = {row.name: dict(zip(names, row.values, strict=True)) for row in found.settings}
        results = {row.name: dict(zip(names, row.values, strict=True)) for row in found.results}
        console.print_json({"settings": rows, "results": results, "advice": list(advice), "page": str(file)})
    else:
        for sentence in advice:
            console.say(sentence)
        click.echo(console.printable(file))
        console.say(f"next: prep grid {root} --run NAME, with the run you choose, at several strengths")


def _checked(root: Path, runs: tuple[str, ...]) -> tuple[str, ...]:
    """The runs, each there and named once.

    Raises:
        PrepError: there are fewer than two, one is named twice, or is not there.
    """
    there = sorted(folder.parent.name for folder in root.glob("runs/*/run.json"))
    for name in runs:
        if plain_name(name) not in there:
            raise PrepError(f"there is no run {name!r} in {root}", f"runs: {', '.join(there) or 'none'}")
    if len(set(runs)) < max(2, len(runs)):
        raise PrepError(f"{', '.join(runs)}: runs are compared with others", "name two or more, each once")
    return runs


def _images(
    root: Path, names: tuple[str, ...], folder: Path, given: dict[str, Any], as_json: bool
) -> tuple[str, tuple[str, ...]]:
    """A grid of the runs' adapters: the name of its page, and what is to be said of it."""
    source = of_set(root, names[0])
    adapters = ("none", *(str(root / "runs" / name / f"{name}.safetensors") for name in names))
    rest = grid.command.make_context("grid", []).params
    flags = rest | given | {"adapters": adapters, "seed": given["seed"] or ("1000..1003",), "y": "adapter"}
    wanted = wanted_of(source, flags)
    if not as_json:
        show_plan(wanted, folder)
    files, figures = made(wanted, folder, looking_with(source, given["tagger"]))
    return files[0].name, figures.advice if figures else ()
