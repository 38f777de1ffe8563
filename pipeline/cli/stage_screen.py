"""What a stage shows: what was done in a line, what needs a decision in a few, and all of it under -v."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import click

from pipeline.cli import console
from pipeline.cli.verbose import verbose
from pipeline.config.registry import STAGES
from pipeline.store.manifest import Manifest
from pipeline.store.records import Plan
from pipeline.store.running.apply import Outcome, reasons
from pipeline.store.wording import counted

SHOWN_CHANGES = 20
BRIEF_CHANGES = 3
BRIEF_WARNINGS = 2
BRIEF_LINES = 2
"""Of a warning, and of a remark in a preview."""
PREVIEWED = 7
"""Remarks of a preview."""
WIDTH = 80
"""Columns where no terminal says how many it has."""


def show_outcome(outcome: Outcome) -> None:
    """A stage that ran: how often each reason was given, its table, what it made, and its warnings."""
    if verbose():
        _show_all(outcome)
        return
    if outcome.fresh:
        console.say(f"{outcome.stage}: up to date, nothing to do")
        return
    assert outcome.plan is not None
    said = _new_counts(outcome)
    if any(said.values()) or not outcome.plan_shown:
        _say_counts(outcome.stage, said)
    if not outcome.plan_shown:
        _show_remarks(outcome.plan)
    for result in outcome.results:
        console.say(result)
    _show_warnings(outcome.warnings)


def show_plan(plan: Plan) -> None:
    """What a stage is about to do that takes its time."""
    counts = {**reasons(plan.decisions), **plan.counts}
    if verbose():
        console.say(f"{plan.stage}: planned")
        console.print_counts(counts)
        _show_extras(plan)
        return
    _say_counts(f"{plan.stage}, planned", counts)
    _show_remarks(plan)


def show_plan_between(bars: console.Bars, plan: Plan) -> None:
    """Show a plan between bars that may have begun."""
    with bars.paused():
        show_plan(plan)


def show_preview(manifest: Manifest, plan: Plan) -> None:
    """A stage that would run: its counts, and the first rows that would change."""
    changed = manifest.changes(plan.fields, plan.decisions)
    counts = {**reasons(plan.decisions), **plan.counts}
    console.say(f"{plan.stage}: {_decisions(len(changed))} would change; nothing was written")
    if verbose():
        console.print_counts(counts)
        _show_extras(plan)
    else:
        _say_counts("", counts, lines=3)
        for remark in plan.info[:PREVIEWED]:
            _say_brief(remark)
        _show_warnings(plan.warnings)
    limit = SHOWN_CHANGES if verbose() else BRIEF_CHANGES
    for (path, field), (before, after) in list(changed.items())[:limit]:
        row = console.printable(f"{path}: {field} {console.brief(before)} → {console.brief(after)}")
        click.echo("\n".join(console.folded(row)))
    if len(changed) > limit:
        console.say(f"… and {len(changed) - limit} more; --json lists all of them")
    if not verbose() and (plan.table or len(plan.info) > PREVIEWED):
        console.say("the plan's tables and all remarks: the same with -v")


def next_command(stage: str, root: object) -> str:
    """What to type when a stage is done: the stage after it, and after the last the test bench."""
    names = [entry.name for entry in STAGES]
    after = names[names.index(stage) + 1 :]
    return f"prep {after[0] if after else 'grid'} {root}"


# --- everything


def _show_all(outcome: Outcome) -> None:
    if outcome.fresh:
        console.say(f"{outcome.stage}: up to date, nothing to do")
        console.print_counts(outcome.counts)
    else:
        assert outcome.plan is not None
        rows = f"{_decisions(outcome.changed)} changed" if outcome.changed or not outcome.plan_shown else ""
        console.say(f"{outcome.stage}: " + ", ".join(filter(None, ("done" if outcome.plan_shown else "", rows))))
        console.print_counts(_new_counts(outcome))
        if not outcome.plan_shown:
            _show_extras(outcome.plan)
    for result in outcome.results:
        console.say(result)
    for note in outcome.warnings:
        console.warn(note)


def _new_counts(outcome: Outcome) -> dict[str, int]:
    """The counts that no plan showed before."""
    assert outcome.plan is not None
    planned = {**reasons(outcome.plan.decisions), **outcome.plan.counts} if outcome.plan_shown else {}
    return {reason: number for reason, number in outcome.counts.items() if reason not in planned}


def _show_extras(plan: Plan) -> None:
    if plan.table:
        click.echo("")
        console.print_table(plan.table)
    for remark in plan.info:
        console.say(remark)
    for note in plan.warnings:
        console.warn(note)


def _decisions(number: int) -> str:
    return f"{number} decision" + ("" if number == 1 else "s")


# --- a few lines


def _say_counts(head: str, counts: Mapping[str, int], lines: int = 1) -> None:
    """`check: 107 good; 3 duplicate; …`: as many counts as the lines hold, in their order, none of them cut."""
    room = lines * (console.columns() or WIDTH) - len(head) - 2 * lines
    words = fitting(counts, room) or "nothing changed"
    for line in console.folded(f"{head}: {words}" if head else words):
        click.echo(console.printable(line))


def fitting(counts: Mapping[str, int], room: int) -> str:
    """As many counts as fit so many columns, in their order, none of them cut; "" where nothing is counted."""
    parts = [f"{number} {counted(key)}" for key, number in counts.items() if number]
    if len("; ".join(parts)) <= room:
        return "; ".join(parts)
    shown: list[str] = []
    for part in parts:
        if len("; ".join([*shown, part])) > room - len("; 9 more: -v"):
            break
        shown.append(part)
    left = len(parts) - len(shown)
    return "; ".join([*shown, f"{left} more: -v" if shown else f"{left} counts: -v"])


def _show_remarks(plan: Plan) -> None:
    """Warnings, and where there are none the first remark."""
    _show_warnings(plan.warnings)
    for remark in () if plan.warnings else plan.info[:1]:
        _say_brief(remark)


def _show_warnings(warnings: Sequence[str]) -> None:
    for note in warnings[:BRIEF_WARNINGS]:
        console.warn(_shortened(note, len("warning: ")))
    if len(warnings) > BRIEF_WARNINGS:
        console.say(f"… and {len(warnings) - BRIEF_WARNINGS} more warnings: -v")


def _say_brief(words: str) -> None:
    for line in console.folded(_shortened(words, 0)):
        console.say(line)


def _shortened(text: str, used: int) -> str:
    """The text if it fits a few lines, else as many of its words."""
    text = " ".join(str(text).split())
    lines = textwrap.wrap(text, (console.columns() or WIDTH) - used, break_long_words=False, break_on_hyphens=False)
    if len(lines) <= BRIEF_LINES:
        return text
    room = (console.columns() or WIDTH) - used - len(" … (-v)")
    last = textwrap.wrap(lines[BRIEF_LINES - 1], room, break_long_words=False, break_on_hyphens=False)[0]
    return " ".join([*lines[: BRIEF_LINES - 1], last.rstrip(",;:")]) + " … (-v)"
