"""The page about a set: headline figures, contents, and every section in one HTML file that needs nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.core.files import write_text
from pipeline.report.dataset.balance import balance_view
from pipeline.report.dataset.buckets import buckets_view
from pipeline.report.dataset.excluded import excluded_view
from pipeline.report.dataset.facts import Facts, collect
from pipeline.report.dataset.headline import headline
from pipeline.report.dataset.regularization import regularization_view
from pipeline.report.dataset.samples import Learned, read_samples, samples_view
from pipeline.report.dataset.tag_recall import tag_recall_view
from pipeline.report.dataset.tags import tags_view
from pipeline.report.html.page import Page, Section, render_page
from pipeline.store.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Report:
    """What a page shows: `title` as its heading, `place` where the set is."""

    title: str
    place: str
    facts: Facts
    learned: Learned


def report_of(manifest: Manifest, learned: Learned | None = None, title: str = "") -> Report:
    """Gather a report; without `learned` the samples that `prep sample` generated last are taken."""
    facts = collect(manifest)
    if learned is None:
        learned = read_samples(manifest.root, tuple(trigger.word for trigger in facts.triggers))
    return Report(title or manifest.root.resolve().name, str(manifest.root), facts, learned)


def write_report(manifest: Manifest, output: Path, learned: Learned | None = None, title: str = "") -> Path:
    """Render a set's page into `output` and give it back."""
    write_text(output, render(report_of(manifest, learned, title)))
    return output


def render(report: Report) -> str:
    """The page as one text; all images are inside it."""
    return render_page(
        Page(
            template="dataset/page.html",
            title=report.title,
            top=headline(report.facts, report.learned),
            sections=sections(report),
            styles=("page.css",),
        )
    )


def sections(report: Report) -> tuple[Section, ...]:
    """Every section by name, template and view, in the order of the page; each view is None while its stage has not
    run, and the section then says what to type."""
    facts, learned = report.facts, report.learned

    def section(id: str, title: str, view: object | None, missing: str, stage: str = "") -> Section:
        remedy = f" Run: prep {stage} {report.place}" if stage else ""
        return Section(id, title, f"dataset/{id.replace('-', '_')}.html", view, missing + remedy)

    return (
        section("samples", "Samples", samples_view(facts, learned), "No samples were generated yet.", "sample"),
        section("tag-recall", "Tag recall", tag_recall_view(learned), "Tag recall was not measured."),
        section("excluded", "Excluded", excluded_view(facts), "No images yet.", "flatten"),
        section("tags", "Tags", tags_view(facts), "No tags were considered yet.", "curate"),
        section("triggers", "Trigger words", facts.triggers or None, "No caption has a trigger word yet.", "curate"),
        section("balance", "Balance", balance_view(facts.balance), "Not balanced yet.", "balance"),
        section("buckets", "Buckets", buckets_view(facts.buckets), "No bucket resolutions yet.", "bucket"),
        section(
            "regularization", "Regularization", regularization_view(facts), "No regularization images.", "regularize"
        ),
        section("stage-runs", "Stage runs", facts.runs or None, "No stage has run yet.", "flatten"),
    )
