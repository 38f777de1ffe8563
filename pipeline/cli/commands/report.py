"""Write an HTML report on the set, or on a training run."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli import console
from pipeline.cli.set_folder import SET
from pipeline.core.errors import PrepError
from pipeline.store.manifest import Manifest


@click.command(short_help="Write an HTML report on the set, or on a training run.")
@click.argument("root", metavar="SET", type=SET)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write the page.  [default: SET/reports/report.html]",
)
@click.option(
    "run",
    "--run",
    metavar="NAME",
    help="Write the page of a training run instead, SET/runs/NAME/report.html, even of one that is running or was stopped.",
)
@click.option("as_json", "--json", is_flag=True, help="Print one JSON document to stdout.")
def command(root: Path, output: Path | None, run: str | None, as_json: bool) -> None:
    """Write an HTML report on the set, or on a training run.

    The page is one file with every image in it: it opens in any browser, loads nothing from the network, and can be
    sent to others. It names the stages that have not run yet, with what to type.
    """
    from pipeline.report.dataset.page import write_report
    from pipeline.report.run.page import write_run_page

    with Manifest.open(root) as manifest:
        if run is None:
            file = write_report(manifest, output or root / "reports" / "report.html")
        else:
            file = write_run_page(root / "runs" / plain_name(run), output)
    if as_json:
        console.print_json({"set": str(root), "report": str(file), "bytes": file.stat().st_size})
    else:
        click.echo(console.printable(file))


def plain_name(name: str) -> str:
    """A run's name, if it is one folder's."""
    if Path(name).name != name or name in ("", ".", ".."):
        raise PrepError(f"{name!r} is not the name of a run", "give the name of a folder in SET/runs")
    return name
