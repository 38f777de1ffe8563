"""Runs and grids: how they went, live while one trains."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.review.desk import Desk
from pipeline.review.pages.page import Page
from pipeline.review.runs.grid_view import grid_lines, grid_view
from pipeline.review.runs.run_view import compared, run_lines, run_view
from pipeline.review.server.answers import Document, reading

MOST = 6


def _runs(desk: Desk, asked: Mapping[str, str]) -> Document:
    return {"runs": run_lines(desk.root), "grids": grid_lines(desk.root)}


def _run(desk: Desk, asked: Mapping[str, str]) -> Document:
    return run_view(desk.root, asked.get("name", ""))


def _grid(desk: Desk, asked: Mapping[str, str]) -> Document:
    return grid_view(desk.root, asked.get("name", ""))


def _compare(desk: Desk, asked: Mapping[str, str]) -> Document:
    return compared(desk.root, asked.get("runs", "").split("\n")[:MOST])


PAGE = Page(
    "runs",
    "Runs",
    (reading("runs", _runs), reading("run", _run), reading("grid", _grid), reading("compare", _compare)),
)
