"""The page about a run: what was trained on what, how often each image was seen, how it went, and what to use."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.errors import PrepError
from pipeline.core.files import write_text
from pipeline.report.html.page import Page, Section, render_page
from pipeline.report.run.concepts import concepts_view
from pipeline.report.run.curves import curves_view
from pipeline.report.run.facts import RunFacts, collect_run
from pipeline.report.run.headline import headline
from pipeline.report.run.images import images_view
from pipeline.report.run.samples import samples_view
from pipeline.report.run.settings import settings_view
from pipeline.report.run.snapshots import snapshots_view

REPORT = "report.html"


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
    top = headline(facts)
    return render_page(
        Page(
            template="run/page.html",
            title=top.name,
            top=top,
            sections=sections(facts),
            styles=("page.css", "run.css"),
            script="run.js",
        )
    )


def sections(facts: RunFacts) -> tuple[Section, ...]:
    """Every section by name, template and view, in the order of the page."""

    def section(id: str, title: str, view: object | None, missing: str) -> Section:
        return Section(id, title, f"run/{id}.html", view, missing)

    return (
        section("curves", "Curves", curves_view(facts), "No step is logged yet, and no validation was done."),
        section("snapshots", "Snapshots", snapshots_view(facts), "No adapter is saved yet."),
        section(
            "samples",
            "Samples over time",
            samples_view(facts.folder),
            "No samples: the run has no sample prompts, or has not come to the first of them yet.",
        ),
        section(
            "concepts",
            "Concepts",
            concepts_view(facts),
            "The run's images are not known: images.csv, set.json and log.jsonl are missing.",
        ),
        section("images", "Exposures of each image", images_view(facts), "The run's images are not known."),
        section(
            "settings", "Settings", settings_view(facts.about), "There is no run.json that says how it was trained."
        ),
    )
