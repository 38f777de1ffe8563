"""What a stage shows: a few lines that fit a terminal, everything under -v, and what to type next."""

from __future__ import annotations

import click
import pytest

from pipeline.cli import stage_screen
from pipeline.cli.stage_screen import fitting, next_command, show_outcome, show_plan
from pipeline.cli.verbose import verbose_option
from pipeline.store.records import Plan
from pipeline.store.running.apply import Outcome

WARNINGS = tuple(f"trouble {number}: " + "many words of it " * 20 + f"end {number}" for number in range(4))
PLAN = Plan(
    "check", (), info=("a remark",), warnings=WARNINGS, table=({"concept": "Lumi", "images": 3},), counts={"made": 0}
)
DONE = Outcome("check", False, PLAN, 3, {"good": 107, "duplicate": 3})


@pytest.fixture
def shown(capsys, monkeypatch):
    """What a call shows at 80 columns, with flags of the command."""
    monkeypatch.setenv("COLUMNS", "80")

    def show(call, *flags):
        verbose_option(click.Command("check", callback=call)).main(list(flags), standalone_mode=False)
        captured = capsys.readouterr()
        return captured.out + captured.err

    return show


def test_a_stage_is_a_few_lines_of_80_columns_with_its_first_warnings(shown):
    lines = shown(lambda: show_outcome(DONE)).splitlines()
    assert lines[0] == "check: 107 good; 3 duplicate"
    assert sum(line.startswith("warning: trouble") for line in lines) == stage_screen.BRIEF_WARNINGS
    assert "… and 2 more warnings: -v" in lines and "… (-v)" in lines[2]
    assert len(lines) <= 8 and max(map(len, lines)) <= 80, lines


def test_verbose_leaves_nothing_out(shown):
    text = " ".join(shown(lambda: show_outcome(DONE), "-v").split())
    assert "concept images Lumi 3" in text and "a remark" in text and "3 decisions changed" in text
    assert [f"end {number}" in text for number in range(4)] == [True] * 4 and "… (-v)" not in text


def test_a_stage_with_nothing_to_do_says_so_in_one_line(shown):
    fresh = Outcome("check", True, None, 0, {"good": 107}, warnings=WARNINGS)
    assert shown(lambda: show_outcome(fresh)) == "check: up to date, nothing to do\n"
    assert "107  good" in shown(lambda: show_outcome(fresh), "--verbose")


def test_the_first_remark_stands_where_no_warning_does(shown):
    quiet = Plan("train", (), info=("420 steps", "much else"), counts={"kept": 0})
    text = shown(lambda: show_plan(quiet))
    assert "420 steps" in text and "much else" not in text


@pytest.mark.parametrize(
    ("room", "words"),
    [
        (40, "107 good; 3 duplicate; 2 blurry"),
        (31, "107 good; 3 duplicate; 2 blurry"),
        (30, "107 good; 2 more: -v"),
        (12, "3 counts: -v"),
    ],
)
def test_counts_are_left_out_whole_and_counted(room, words):
    assert fitting({"good": 107, "duplicate": 3, "blurry": 2, "unreadable": 0}, room) == words


def test_every_stage_has_a_next_command_and_the_last_leads_to_the_test_bench():
    assert next_command("flatten", "my set") == "prep check my set"
    assert next_command("sample", "s") == "prep grid s"
