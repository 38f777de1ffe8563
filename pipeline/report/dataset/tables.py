"""Regularization pairs and runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipeline.core.humanize import counted, duration
from pipeline.report.dataset.facts import Facts, Pair, StageRun
from pipeline.report.html.markup import Html, element, join, row, table
from pipeline.report.html.thumbnails import Thumbnails

REG_IMAGES_SHOWN = 2
"""How many regularization images stand beside their image; how many more there are is said."""


def reg_images(facts: Facts, album: Thumbnails) -> Html:
    """Images beside the base model's own answers to the same caption, or beside those that were given."""
    cards = element("div", *(_pair(pair, album) for pair in facts.pairs), class_="columns narrow")
    return join(element("p", _reg_image_words(facts), class_="lead"), cards)


def _reg_image_words(facts: Facts) -> str:
    if not all(pair.matched for pair in facts.pairs):
        return (
            f"{counted(facts.pair_count, 'image is', 'images are')} shown beside "
            f"{counted(facts.reg_image_count, 'image')} of the class that you gave, which take turns, with noise and timestep "
            "of their own: what is new is learned from yours, what was known is kept by these."
        )
    count = counted(facts.pair_count, "image has", "images have")
    several = facts.reg_image_count > facts.pair_count
    have = f"{facts.reg_image_count} regularization images, which take turns" if several else "a regularization image"
    return (
        f"{count} {have}: what the base model paints for the same caption, in the same size. Shown "
        "together, the pair teaches what is new and keeps what was known."
    )


def _pair(pair: Pair, album: Thumbnails) -> Html:
    alone, counted_as = ("its regularization image", "regularization image") if pair.matched else ("given", "given")
    shown = pair.reg_images[:REG_IMAGES_SHOWN]
    sides = [(pair.file, pair.name, "your image")]
    for number, reg_image in enumerate(shown, 1):
        sides.append(
            (
                reg_image,
                f"regularization image of {pair.name}",
                alone if len(pair.reg_images) == 1 else f"{counted_as} {number}",
            )
        )
    figures = [
        element("figure", album.thumbnail(file, name), element("figcaption", words)) for file, name, words in sides
    ]
    more = len(pair.reg_images) - len(shown)
    return element(
        "article",
        element("div", *figures, class_="two"),
        element("p", element("code", pair.caption), f" and {more} more in turn" if more else "", class_="caption"),
        class_="card regularization image",
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
