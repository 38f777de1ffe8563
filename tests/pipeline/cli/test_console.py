"""Progress bars: one for each kind of work, with what is said about it on the same bar."""

from __future__ import annotations

import re

import pytest

from pipeline.cli.console import progress_bars


@pytest.fixture(params=["a terminal", "a file"])
def stderr(request, monkeypatch, capsys):
    """What is left on stderr, without what steers a terminal."""
    monkeypatch.setenv("COLUMNS", "160")
    if request.param == "a terminal":
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
    return lambda: re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)


def last_frame(text: str) -> list[str]:
    """The lines that are there in the end: a terminal redraws them after carriage returns."""
    lines = [line.rpartition("\r")[2].rstrip() for line in text.splitlines() if line.strip()]
    return lines[-2:]


def test_what_is_said_about_a_work_stands_on_its_bar_and_is_replaced(stderr):
    with progress_bars() as progress:
        progress("encoding", 3, 3)
        progress("training: loss 0.5000, lr 5e-04", 1, 4)
        progress("training: loss 0.1234, lr 5e-04", 3, 4)
        progress("training", 4, 4)
        progress("training: loss 0.0001: [bold]done[/bold]", 4, 4)
    first, second = last_frame(stderr())
    assert first.startswith("encoding ") and "3/3" in first
    assert second.startswith("training ") and "4/4" in second
    assert second.endswith("loss 0.0001: [bold]done[/bold]")
    assert "0.1234" not in first + second


def test_works_without_words_keep_a_bar_each(stderr):
    with progress_bars() as progress:
        progress("reading a.zip", 1, 2)
        progress("reading \x1b[31mb.zip", 2, 2)
    first, second = last_frame(stderr())
    assert first.startswith("reading a.zip") and "1/2" in first
    assert second.startswith("reading \\x1b[31mb.zip") and "2/2" in second


def test_nothing_is_drawn_where_nothing_is_reported(stderr):
    with progress_bars():
        pass
    assert stderr() == ""


def test_bars_that_are_not_kept_leave_their_place_to_what_follows(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "160")
    with progress_bars(keep=False) as progress:
        progress("encoding", 3, 3)
    assert capsys.readouterr().err == "", "where no terminal shows how far it is, only the outcome is written"
