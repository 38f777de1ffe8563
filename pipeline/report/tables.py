"""Regularization pairs and runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipeline.report.album import Album
from pipeline.report.facts import Facts, Pair, StageRun
from pipeline.report.markup import Html, counted, element, join, row, table

TWINS_SHOWN = 2
"""How many twins stand beside their picture; how many more there are is said."""


def twins(facts: Facts, album: Album) -> Html:
    """Pictures beside the base model's own answers to the same caption, or beside those that were given."""
    cards = element("div", *(_pair(pair, album) for pair in facts.pairs), class_="columns narrow")
    return join(element("p", _twin_words(facts), class_="lead"), cards)


def _twin_words(facts: Facts) -> str:
    if not all(pair.matched for pair in facts.pairs):
        return (
            f"{counted(facts.pair_count, 'picture is', 'pictures are')} shown beside "
            f"{counted(facts.twin_count, 'picture')} of the class that you gave, which take turns, with noise and timestep "
            "of their own: what is new is learned from yours, what was known is kept by these."
        )
    count = counted(facts.pair_count, "picture has", "pictures have")
    several = facts.twin_count > facts.pair_count
    have = f"{facts.twin_count} twins, which take turns" if several else "a twin"
    return (
        f"{count} {have}: what the base model paints for the same caption, in the same size. Shown "
        "together, the pair teaches what is new and keeps what was known."
    )


def _pair(pair: Pair, album: Album) -> Html:
    alone, counted_as = ("its twin", "twin") if pair.matched else ("given", "given")
    shown = pair.twins[:TWINS_SHOWN]
    sides = [(pair.file, pair.name, "your picture")]
    for number, twin in enumerate(shown, 1):
        sides.append((twin, f"twin of {pair.name}", alone if len(pair.twins) == 1 else f"{counted_as} {number}"))
    figures = [
        element("figure", album.thumbnail(file, name), element("figcaption", words)) for file, name, words in sides
    ]
    more = len(pair.twins) - len(shown)
    return element(
        "article",
        element("div", *figures, class_="two"),
        element("p", element("code", pair.caption), f" and {more} more in turn" if more else "", class_="caption"),
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
