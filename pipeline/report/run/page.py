"""The page about a run: what was trained on what, how often each image was seen, how it went, and what to take."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.errors import PrepError
from pipeline.core.files import write_text
from pipeline.core.humanize import counted, grouped
from pipeline.report.html.markup import Html, element, join
from pipeline.report.html.page_frame import Section, document
from pipeline.report.html.thumbnails import Thumbnails, encode
from pipeline.report.run import charts, tables
from pipeline.report.run.facts import GRID, RunFacts, collect_run, part
from pipeline.report.run.tables import taken

REPORT = "report.html"
SHEET_SIDE = 2400
"""Pixels of the longer side of the sheet of samples inside the page."""


def write_run_page(folder: Path, output: Path | None = None) -> Path:
    """Render a run's page into its folder SET/runs/NAME, or into `output`, and give it back.

    Raises:
        PrepError: there is no such folder.
    """
    if not folder.is_dir():
        raise PrepError(f"there is no run at {folder}", "train one with: prep train SET")
    target = output or folder / REPORT
    write_text(target, render_run(collect_run(folder)))
    return target


def render_run(facts: RunFacts) -> str:
    """The page as one text with all images inside it; what is missing is named."""
    top = [_heading(facts), _problems(facts), element("div", _take(facts), _trained(facts), class_="headline")]
    name = facts.folder.resolve().name
    return document(f"{name} · prep", top, _parts(facts, Thumbnails()), ("page.css", "run.css"), "run.js")


def _parts(facts: RunFacts, album: Thumbnails) -> tuple[Section, ...]:
    grid, about = facts.folder / GRID, facts.about
    logged = "" if facts.figures.steps or facts.looks else "No step is logged yet, and nothing was looked at."
    return (
        Section("went", "How it went", logged, lambda: charts.curves(facts)),
        Section(
            "snapshots",
            "Snapshots",
            "" if facts.snapshots else "No adapter is saved yet.",
            lambda: tables.snapshots(facts),
        ),
        Section(
            "samples",
            "Samples over time",
            "" if grid.is_file() else "Nothing was painted: the run has no sample prompts, or has not come to it yet.",
            lambda: _samples(grid),
        ),
        Section(
            "concepts",
            "What it was trained on",
            "" if facts.rows else "The run's images are not known: images.csv, set.json and log.jsonl are missing.",
            lambda: tables.concepts(facts, album),
        ),
        Section(
            "seen",
            "How often each image was seen",
            "" if facts.rows else "The run's images are not known.",
            lambda: tables.images(facts),
        ),
        Section(
            "settings",
            "Settings",
            "" if about else "There is no run.json that says how it was trained.",
            lambda: tables.settings(facts),
        ),
    )


def _heading(facts: RunFacts) -> Html:
    words = [_what(facts), _state(facts), str(facts.about.get("device", ""))]
    return element(
        "header",
        element("p", "prep run", class_="over"),
        element("h1", facts.folder.resolve().name),
        element("p", " · ".join(word for word in words if word), class_="quiet"),
        class_="top",
    )


def _what(facts: RunFacts) -> str:
    algorithm, rank, base = (facts.setting(name) for name in ("algorithm", "rank", "base"))
    return f"{algorithm} of rank {rank} on {base}" if algorithm else ""


def _state(facts: RunFacts) -> str:
    finished = part(facts.about, "result").get("finished")
    done, planned = facts.figures.last, facts.about.get("steps")
    if finished:
        return f"{counted(done, 'step')} · finished {str(finished)[:16].replace('T', ' ')} UTC"
    of = f" of {grouped(planned)}" if isinstance(planned, int) else ""
    return f"{grouped(done)}{of} steps logged; not finished: in progress, or stopped"


def _problems(facts: RunFacts) -> Html | str:
    words = list(facts.problems)
    if facts.figures.missing:
        named = ", ".join(f"{first}–{last}" for first, last in facts.figures.missing[:5])
        more = " and others" if len(facts.figures.missing) > 5 else ""
        words.append(f"Steps {named}{more} are not in log.jsonl: what was shown in them is not counted here.")
    return join(*(element("p", word, class_="missing") for word in words))


def _take(facts: RunFacts) -> Html:
    snapshot, reason = taken(facts)
    name = element("p", element("code", snapshot.file), class_="name") if snapshot else ""
    return element(
        "article",
        element("h2", "Which snapshot to take"),
        name,
        element("p", reason, class_="reason"),
        class_="card take",
    )


def _trained(facts: RunFacts) -> Html:
    figures = facts.figures
    images = sum(row.tally.exposures > 0 for row in facts.rows)
    shown = sum(row.tally.exposures for row in facts.rows)
    figure = element(
        "p",
        element("b", grouped(shown)),
        element("small", f" exposures of {counted(images, 'image')}"),
        class_="figure",
    )
    words = [f"{counted(figures.epochs, 'epoch')} begun."] if figures.epochs else []
    reg_images = sum(row.tally.reg_images for row in facts.rows)
    if reg_images:
        words.append(f"{counted(reg_images, 'regularization image')} shown beside them.")
    if facts.held_out:
        words.append(f"{counted(len(facts.held_out), 'image')} held out to measure on.")
    never = sum(not row.tally.exposures and row.path not in facts.held_out for row in facts.rows)
    warning = f"{counted(never, 'image was', 'images were')} not shown." if never else ""
    return element(
        "article",
        element("h2", "What was shown"),
        figure,
        element("p", " ".join(words), class_="quiet"),
        element("p", warning, class_="wrong-words") if warning else "",
        class_="card",
    )


def _samples(grid: Path) -> Html:
    """The sheet made smaller where it is large, with a link to the whole one beside the page."""
    from pipeline.core.image_io import UnreadableImage, load_rgb

    intro = (
        "The same prompts and seeds at one point of the run after another; the first column is the base model alone."
    )
    try:
        url, (width, height) = encode(load_rgb(grid), SHEET_SIDE)
    except UnreadableImage as error:
        return element("p", f"progress/grid.png cannot be read: {error}", class_="missing")
    sheet = element("img", src=url, alt="samples over time", width=width, height=height)
    linked = element("div", element("a", sheet, href=GRID), class_="sheet")
    return join(element("p", intro, class_="lead"), linked)
