"""Regularization pairs and runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipeline.report.album import Album
from pipeline.report.facts import Facts, Pair, StageRun
from pipeline.report.markup import Html, counted, element, join, row, table


def twins(facts: Facts, album: Album) -> Html:
    """Pictures beside the base model's own answer to the same caption."""
    count = counted(facts.pair_count, "picture has", "pictures have")
    intro = element(
        "p",
        f"{count} a twin: what the base model paints for the same caption, in the same size. Shown "
        "together, the pair teaches what is new and keeps what was known.",
        class_="lead",
    )
    return join(intro, element("div", *(_pair(pair, album) for pair in facts.pairs), class_="columns narrow"))


def _pair(pair: Pair, album: Album) -> Html:
    both = ((pair.file, pair.name, "your picture"), (pair.twin, f"twin of {pair.name}", "its twin"))
    sides = [element("figure", album.thumbnail(file, name), element("figcaption", label)) for file, name, label in both]
    return element(
        "article",
        element("div", *sides, class_="two"),
        element("p", element("code", pair.caption), class_="caption"),
        class_="card twin",
    )


def runs(facts: Facts) -> Html:
    """What was run, when, for how long and with which settings; what was undone is marked."""
    rows = [_run(run) for run in facts.runs]
    return table(("", "stage", "started (UTC)", "took", "what came of it", "settings"), rows, (0, 3), "runs")


def _run(run: StageRun) -> Html:
    counts = ", ".join(f"{number} {reason}" for reason, number in list(run.counts.items())[:8])
    undone = element("span", f"undone by run {run.undone}", class_="undone-by") if run.undone is not None else ""
    return row(
        str(run.number),
        join(element("b", run.stage), " ", undone),
        run.started[:19].replace("T", " "),
        duration(run.seconds),
        counts,
        join(_details("settings", run.options), _details("versions", run.versions)),
        numbers=(0, 3),
        class_="undone" if undone else None,
    )


def _details(title: str, values: Mapping[str, Any]) -> Html | str:
    if not values:
        return ""
    written = json.dumps(dict(values), indent=1, ensure_ascii=False)
    return element("details", element("summary", title), element("pre", written))


def duration(seconds: float | None) -> str:
    if seconds is None:
        return "not finished"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
