"""Write one HTML page that shows what was found, decided and learned."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline import console
from pipeline.manifest import Manifest


@click.command(short_help="Write one HTML page that shows what was found, decided and learned.")
@click.argument("root", metavar="SET", type=click.Path(path_type=Path))
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write it; SET/reports/report.html if not given.",
)
@click.option("as_json", "--json", is_flag=True, help="Print one JSON document to stdout.")
def command(root: Path, output: Path | None, as_json: bool) -> None:
    """Write one HTML page that shows what was found, decided and learned.

    The page is one file with every picture in it: it opens in any browser, loads nothing from the network, and can be
    sent to somebody. Stages that have not run yet are named with what to type.
    """
    from pipeline.report.page import write_report

    with Manifest.open(root) as manifest:
        file = write_report(manifest, output or root / "reports" / "report.html")
    if as_json:
        console.print_json({"set": str(root), "report": str(file), "bytes": file.stat().st_size})
    else:
        click.echo(console.printable(file))
