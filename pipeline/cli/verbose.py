"""The switch -v: everything a command knows, where it shows a screen otherwise."""

from __future__ import annotations

import click

_KEY = "pipeline.cli.verbose"


def _remember(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    context.meta[_KEY] = wanted


verbose_option = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    expose_value=False,
    help="Show everything: all counts, tables, remarks and warnings.",
    callback=_remember,
)
"""`-v`, the same on every command whose screen leaves something out."""


def verbose() -> bool:
    """Whether the command that runs was asked for everything."""
    context = click.get_current_context(silent=True)
    return bool(context and context.meta.get(_KEY))
