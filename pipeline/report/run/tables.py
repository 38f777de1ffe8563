"""The tables of a run's page: snapshots and which to take, concepts, images, settings."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.humanize import counted, grouped, percent
from pipeline.report.html.markup import Html, element, join, meter, row, table
from pipeline.report.html.thumbnails import Thumbnails
from pipeline.report.run.facts import RunFacts, Saved, part

if TYPE_CHECKING:
    from pipeline.store.training_log import Row, Tally

THUMBNAILS = 4
MOST_ROWS = 5000
"""Images that the table has at most; more would make a page that no browser likes."""


def taken(facts: RunFacts) -> tuple[Saved | None, str]:
    """The snapshot to take, and why in words."""
    if not facts.snapshots:
        return None, "None is saved yet."
    best = next((each for each in facts.snapshots if each.best and each.validation is not None), None)
    last = facts.snapshots[-1]
    if best is None or best.validation is None:
        return last, "It is the last. No validation loss says which is best: compare their samples."
    held = any(look.get("held") is not None for look in facts.looks)
    where = "on images held out of training" if held else "on images it was trained on"
    looked = sum(each.validation is not None for each in facts.snapshots)
    words = f"Its loss {where}, {best.validation:.4g}, is the lowest of {counted(looked, 'snapshot')} looked at."
    if last.validation is not None and last is not best:
        words += f" The last, after step {grouped(last.step)}, has {last.validation:.4g}."
    if not held:
        words += " That loss falls on while images are learned by heart, so compare the samples too."
    return best, words + _between(facts, best, "held" if held else "watched")


def _between(facts: RunFacts, best: Saved, side: str) -> str:
    """A word about a lower loss at a step where nothing was saved."""
    looks = [(float(look[side]), look["step"]) for look in facts.looks if look.get(side) is not None]
    lowest, step = min(looks, default=(best.validation or 0.0, best.step))
    if best.validation is None or lowest >= best.validation or step in {each.step for each in facts.snapshots}:
        return ""
    return f" Between snapshots, at step {grouped(step)}, it was lower still: {lowest:.4g}."


def snapshots(facts: RunFacts) -> Html:
    """Every adapter that is there, in the order in which they were saved."""
    best, _ = taken(facts)
    rows = [_snapshot(each, each is best) for each in facts.snapshots]
    return table(("file", "step", "epoch", "validation loss", "bytes"), rows, (1, 2, 3, 4))


def _snapshot(each: Saved, best: bool) -> Html:
    mark = element("span", "take this one", class_="mark") if best else ""
    return row(
        join(element("code", each.file), mark),
        grouped(each.step),
        grouped(each.epoch),
        "not looked at" if each.validation is None else f"{each.validation:.5g}",
        "not there any more" if each.bytes is None else grouped(each.bytes),
        numbers=(1, 2, 3, 4),
        class_="best-row" if best else None,
    )


def concepts(facts: RunFacts, album: Thumbnails) -> Html:
    """A card with a few images for each concept, and the shares they were promised and got; without those held out."""
    from pipeline.store.training_log import by_concept

    found: dict[str, list[Row]] = defaultdict(list)
    for each in facts.rows:
        found[each.concept].append(each)
    tallies = by_concept(
        {each.path: each.tally for each in facts.rows}, {each.path: each.concept for each in facts.rows}
    )
    cards = [_concept(name, rows, facts, album) for name, rows in sorted(found.items())]
    trained = {name: [each for each in rows if each.path not in facts.held_out] for name, rows in found.items()}
    promised = sum(each.multiplier or 0.0 for rows in trained.values() for each in rows)
    shown = sum(tally.exposures for tally in tallies.values())
    shares = [_share(name, tally, trained[name], promised, shown) for name, tally in tallies.items()]
    heads = ("concept", "", "trained on", "promised", "got", "exposures", "each", "mean loss", "regularization")
    listed = element("div", table(heads, shares, tuple(range(2, 9)), "sortable"), class_="shares")
    return join(element("div", *cards, class_="columns"), listed)


def _share(name: str, tally: Tally, trained: Sequence[Row], promised: float, shown: int) -> Html:
    """A concept's row: its part of all multipliers and of all exposures, without images that are held out."""
    got = tally.exposures / shown if shown else 0.0
    return row(
        name or "not known",
        meter(got, "after"),
        grouped(len(trained)),
        percent(sum(each.multiplier or 0.0 for each in trained) / promised) if promised else "",
        percent(got),
        grouped(tally.exposures),
        f"{tally.exposures / len(trained):.1f}×" if trained else "",
        "" if tally.loss is None else f"{tally.loss:.4f}",
        grouped(tally.reg_images),
        numbers=tuple(range(2, 9)),
    )


def _concept(name: str, rows: Sequence[Row], facts: RunFacts, album: Thumbnails) -> Html:
    spread = rows[:: max(1, len(rows) // THUMBNAILS)][:THUMBNAILS]
    shown = [album.thumbnail(_inside(facts.root, each.path), Path(each.path).name) for each in spread]
    return element(
        "article",
        element("h3", name or "not known", " ", element("span", grouped(len(rows)), class_="count")),
        element("div", *shown, class_="strip"),
        class_="card concept",
    )


def _inside(root: Path, path: str) -> Path | None:
    """A file of the set by its path in it; None for a path that leads out of it."""
    file = root / path
    return file if file.resolve().is_relative_to(root.resolve()) else None


def images(facts: RunFacts) -> Html:
    """One row an image, those shown least first; a click on a head sorts by it."""
    order = sorted(facts.rows, key=lambda each: (each.tally.exposures, each.path))
    rows = [
        row(
            join(element("code", each.path), _aside(each, facts)),
            each.concept,
            "" if each.multiplier is None else f"{each.multiplier:.3f}",
            grouped(each.tally.exposures),
            "" if each.tally.loss is None else f"{each.tally.loss:.4f}",
            grouped(each.tally.last) if each.tally.last else "",
            grouped(each.tally.reg_images),
            numbers=tuple(range(2, 7)),
        )
        for each in order[:MOST_ROWS]
    ]
    words = "Those seen least come first; a click on a head sorts by it. The same table is in images.csv."
    if len(order) > MOST_ROWS:
        words += f" These are {grouped(MOST_ROWS)} of {grouped(len(order))}; images.csv has all."
    heads = ("image", "concept", "multiplier", "exposures", "mean loss", "last step", "regularization")
    shown = element("div", table(heads, rows, tuple(range(2, 7)), "sortable"), class_="tall")
    return join(element("p", words, class_="lead"), shown)


def _aside(each: Row, facts: RunFacts) -> Html | str:
    if each.path in facts.held_out:
        return element("span", "held out", class_="mark")
    return "" if each.tally.exposures else element("span", "not shown", class_="mark wrong-words")


def settings(facts: RunFacts) -> Html:
    """What was chosen and by what, the rest folded away, and the programs, the base model and the set."""
    given = part(facts.about, "settings")
    resolved = {key: part(given, key) for key in given}
    chosen = {key: each for key, each in resolved.items() if each.get("origin") != "default"}
    rest = {key: each for key, each in resolved.items() if key not in chosen}
    heads = ("setting", "value", "from")
    words = (
        "Everything is at its default." if not chosen else "What was chosen, and by what; the rest is at its default."
    )
    folded = element(
        "details",
        element("summary", f"{counted(len(rest), 'setting')} at the default"),
        table(heads, [_setting(key, each) for key, each in rest.items()], (), "settings"),
    )
    return join(
        element("p", words, class_="lead"),
        table(heads, [_setting(key, each) for key, each in chosen.items()], (), "settings") if chosen else "",
        folded,
        element("div", *_about(facts.about), class_="facts"),
    )


def _setting(key: str, each: Mapping[str, Any]) -> Html:
    return row(element("code", key), _value(each.get("value")), str(each.get("origin", "")))


def _about(about: Mapping[str, Any]) -> list[Html]:
    the_set = {key: value for key, value in part(about, "set").items() if key != "held out"}
    groups = {
        "Base model": part(about, "base"),
        "Set": the_set,
        "Seeds": part(about, "seeds"),
        "Versions": part(about, "versions"),
        "Result": {"started": about.get("started", "")} | dict(part(about, "result")),
    }
    return [
        element(
            "article",
            element("h3", title),
            table(("", ""), [row(str(key), _value(value)) for key, value in values.items()]),
            class_="card",
        )
        for title, values in groups.items()
        if values
    ]


def _value(value: Any) -> Html | str:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    return element("code", json.dumps(value, ensure_ascii=False))
