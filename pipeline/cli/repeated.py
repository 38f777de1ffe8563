"""Options that take one value and are given two: an error, where click would quietly take the last."""

from __future__ import annotations

from collections import Counter

import click


def refuse_repeated(command: click.Command, context: click.Context, args: list[str]) -> None:
    """See that no option of a command that takes one value is given more than once.

    Raises:
        click.UsageError: one is.
    """
    if isinstance(command, click.Group):
        inner = command.get_command(context, args[0]) if args else None
        if inner is not None:
            refuse_repeated(inner, click.Context(command, parent=context, info_name=command.name), args[1:])
        return
    own = click.Context(command, parent=context, info_name=command.name)
    try:
        _, _, order = command.make_parser(own).parse_args(args=list(args))
    except click.UsageError:
        return  # said when the command itself reads its arguments
    for parameter, times in Counter(order).items():
        if not isinstance(parameter, click.Option) or parameter.multiple or parameter.count:
            continue
        if times > 1 and (not parameter.is_flag or parameter.secondary_opts):
            raise click.UsageError(f"{max(parameter.opts, key=len)} is given {times} times; it takes one value", own)
