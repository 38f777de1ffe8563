"""The console: results on stdout, words and progress bars on stderr, and no file name ever read as markup."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import click

from pipeline.core.errors import PrepError
from pipeline.core.text_diff import pieces
from pipeline.store.manifest import Manifest
from pipeline.store.records import Decision, Plan
from pipeline.store.running.apply import Outcome, reasons
from pipeline.store.values import codec
from pipeline.store.wording import counted, figures, phrase, sentence

MARKS = {"removed": ("[-", "-]", "red"), "added": ("{+", "+}", "green")}


def printable(text: object) -> str:
    """The text without control characters, so that a file name cannot steer the terminal; spaces of any width are spaces."""
    return "".join(_shown(letter) for letter in str(text))


def _shown(letter: str) -> str:
    if letter.isprintable():
        return letter
    return " " if unicodedata.category(letter) == "Zs" else ascii(letter)[1:-1]


def say(words: str) -> None:
    """A line for the person, on stderr."""
    click.echo(printable(words), err=True)


def columns() -> int | None:
    """The width of the terminal; None where the words go to no terminal, and nothing says how wide they may be."""
    given = os.environ.get("COLUMNS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    return shutil.get_terminal_size().columns if sys.stderr.isatty() else None


def folded(text: str, used: int = 0) -> list[str]:
    """The text in lines as wide as the terminal, broken between words; `used` columns are taken in each."""
    width = columns()
    if width is None or _width(text) + used <= width:
        return [text]
    return textwrap.wrap(text, max(width - used, 20), break_long_words=False, break_on_hyphens=False) or [text]


def agreed(words: str) -> bool:
    """Ask whether a set is to be made in a folder all the same; nobody to ask is a no."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    return click.confirm(printable(f"{words}. Make a set in it?"), err=True)


def warn(words: str) -> None:
    """A warning, on stderr, folded between words; one that says what to type is left whole, so that it can be copied."""
    lines = (
        [words] if "prep " in words else [part for line in words.split("\n") for part in folded(line, len("warning: "))]
    )
    _lead("warning:", "yellow", "\n".join(lines))


def fail(error: PrepError) -> None:
    _lead("error:", "red", error.message)
    if error.hint:
        _lead("hint:", "cyan", error.hint)


def _lead(word: str, colour: str, text: str) -> None:
    first, *rest = (printable(line) for line in str(text).split("\n"))
    click.echo(f"{click.style(word, fg=colour, bold=True)} {first}", err=True)
    for line in rest:
        click.echo(f"{' ' * len(word)} {line}", err=True)


def print_json(document: Any) -> None:
    click.echo(json.dumps(document, ensure_ascii=False, indent=1, default=str))


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Aligned columns on stdout: numbers to the right, text to the left, nothing cut off."""
    if not rows:
        return
    names = list(rows[0])
    cells = [[_cell(row.get(name)) for name in names] for row in rows]
    widths = [max(_width(line[place]) for line in [names, *cells]) for place in range(len(names))]
    right = [all(isinstance(row.get(name), int | float) for row in rows) for name in names]
    for number, line in enumerate([names, *cells]):
        padded = [
            " " * (width - _width(cell)) + cell if flush else cell + " " * (width - _width(cell))
            for cell, width, flush in zip(line, widths, right, strict=True)
        ]
        for text in _rows(padded):
            click.echo(click.style(text, bold=True) if number == 0 else text)


def _rows(cells: Sequence[str]) -> list[str]:
    """Cells side by side, as many in a line as the terminal takes; those that follow are indented."""
    width, lines = columns(), [cells[0]]
    for cell in cells[1:]:
        if width is None or _width(lines[-1]) + 2 + _width(cell.rstrip()) <= width:
            lines[-1] += "  " + cell
        else:
            lines += folded("    " + cell.strip())
    return [line.rstrip() for line in lines]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return "×".join(_cell(each) for each in value)
    return "" if value is None else printable(value)


def _width(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def print_counts(counts: Mapping[str, int]) -> None:
    """A row for each count, in words."""
    print_table([{"count": number, "reason": counted(key)} for key, number in counts.items()])


def decision_line(decision: Decision) -> str:
    return f"{decision.path}: {decision.field} {brief(decision)}"


def word_diff(before: str, after: str) -> str:
    """Two captions as one line: what was taken out in [-...-], what came in {+...+}, coloured."""
    return "".join(_marked(kind, text) for kind, text in pieces(before, after))


def _marked(kind: str, text: str) -> str:
    text = printable(text.replace("\n", "⏎"))
    if kind == "same":
        return text
    start, end, colour = MARKS[kind]
    return click.style(f"{start}{text}{end}", fg=colour)


def brief(decision: Decision | None) -> str:
    if decision is None:
        return "(nothing)"
    value = codec.dump(decision.value)
    words = ", ".join(filter(None, (phrase(decision), figures(decision))))
    return f"{value if len(value) <= 120 else value[:119] + '…'} ({words})"


def decision_json(decision: Decision) -> dict[str, Any]:
    """A decision for those who read it by machine: its value as it is stored, the reason as code, data and words."""
    value, data = codec.as_json(decision.value), codec.as_json(decision.data)
    words = {"reason": decision.reason.value, "data": data, "words": sentence(decision)}
    return {"path": decision.path, "field": decision.field, "value": value, **words}


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    found = {"stage": outcome.stage, "fresh": outcome.fresh, "changed": outcome.changed, "counts": dict(outcome.counts)}
    document = {**found, **(plan_json(outcome.plan) if outcome.plan else {})}
    warnings = [*document.get("warnings", ()), *outcome.warnings]
    return document | {"warnings": warnings, "results": list(outcome.results)}


def preview_json(manifest: Manifest, plan: Plan) -> dict[str, Any]:
    changed = manifest.changes(plan.fields, plan.decisions)
    return {
        "stage": plan.stage,
        "dry_run": True,
        "changed": len(changed),
        "counts": {**reasons(plan.decisions), **plan.counts},
        **plan_json(plan),
    }


def plan_json(plan: Plan) -> dict[str, Any]:
    return {
        "info": list(plan.info),
        "warnings": list(plan.warnings),
        "table": [dict(row) for row in plan.table],
        "decisions": [decision_json(decision) for decision in plan.decisions],
    }


class Bars:
    """Bars of rich's that appear with the first work they hear of; what is printed while they are `paused` stays whole."""

    def __init__(self, bars: Any) -> None:
        self._bars, self._tasks = bars, dict[str, Any]()

    def __call__(self, what: str, done: int, total: int) -> None:
        work, _, said = (printable(part) for part in what.partition(": "))
        if work not in self._tasks:
            if not self._tasks:
                self._bars.start()
            self._tasks[work] = self._bars.add_task(work, total=total, said=said)
        self._bars.update(self._tasks[work], completed=done, total=total, said=said)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        if not self._tasks:
            yield
            return
        self._bars.stop()
        yield
        self._bars.start()

    def stop(self) -> None:
        if self._tasks:
            self._bars.stop()


@contextlib.contextmanager
def progress_bars(keep: bool = True) -> Iterator[Bars]:
    """A callback that draws a bar with rate and time left for every kind of work it hears of.

    What stands behind the first ": " in the name of the work may be another one each time: it is shown on the same bar.
    Bars stay on the screen when the work is done, unless `keep` is False: then what follows has their place.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(TextColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:.1f}/s" if speed else "")

    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    shown = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(""),
        TimeRemainingColumn(),
        TextColumn("{task.fields[said]}", markup=False),
        console=console,
        transient=not keep,
        disable=not keep and not console.is_terminal,
    )
    bars = Bars(shown)
    try:
        yield bars
    finally:
        bars.stop()


def selected(rows: Iterable[Any], limit: int) -> tuple[list[Any], int]:
    """The first `limit` rows (all for 0), and how many were left off; rows left off are counted, not held."""
    rows = iter(rows)
    found = list(rows) if limit == 0 else list(itertools.islice(rows, limit))
    return found, sum(1 for _ in rows)
