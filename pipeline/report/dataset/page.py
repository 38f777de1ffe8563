"""The whole page: headline figures, contents, and every section in one HTML file that needs nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.files import write_text
from pipeline.core.humanize import counted, grouped, percent
from pipeline.report.dataset import results as grid
from pipeline.report.dataset import sections, tables
from pipeline.report.dataset.balance import balance
from pipeline.report.dataset.facts import Facts, collect
from pipeline.report.dataset.samples import Learned, read_samples
from pipeline.report.dataset.sizes import sizes
from pipeline.report.html.markup import Html, element, meter
from pipeline.report.html.page_frame import Section, document
from pipeline.report.html.thumbnails import Thumbnails
from pipeline.store.manifest import Manifest

TOP = 6


@dataclass(frozen=True, slots=True)
class Report:
    """What a page shows: `title` as its heading, `place` where the set is."""

    title: str
    place: str
    facts: Facts
    learned: Learned


def report_of(manifest: Manifest, learned: Learned | None = None, title: str = "") -> Report:
    """Gather a report; without `learned` the images that `prep sample` painted last are taken."""
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
    top = (_heading(report), _headline(report))
    return document(f"{report.title} · prep", top, _sections(report, Thumbnails()), ("page.css",))


def _sections(report: Report, album: Thumbnails) -> tuple[Section, ...]:
    facts, learned, root = report.facts, report.learned, report.place

    def unless(shown: object, stage: str, words: str) -> str:
        return "" if shown else f"{words} Run: prep {stage} {root}"

    return (
        Section(
            "images",
            "Before and after",
            unless(learned.samples, "sample", "No images were painted with the adapter yet."),
            lambda: grid.images(facts, learned, album),
        ),
        Section(
            "measured",
            "Measured",
            "" if learned.found() else "Nothing was measured on painted images.",
            lambda: grid.measured(learned),
        ),
        Section(
            "set-aside",
            "Set aside",
            unless(facts.files, "flatten", "No images yet."),
            lambda: sections.left_out(facts, album),
        ),
        Section(
            "tags",
            "Tags",
            unless(facts.actions, "curate", "No tags were considered yet."),
            lambda: sections.tags(facts, album),
        ),
        Section(
            "absorbed",
            "Trigger words",
            unless(facts.triggers, "curate", "No caption holds a trigger word yet."),
            lambda: sections.absorbed(facts, album),
        ),
        Section(
            "balance",
            "Balance",
            unless(facts.balance, "balance", "Not balanced yet."),
            lambda: balance(facts.balance) if facts.balance else Html(),
        ),
        Section(
            "buckets",
            "Sizes",
            unless(facts.sizes, "bucket", "No training sizes yet."),
            lambda: sizes(facts.sizes) if facts.sizes else Html(),
        ),
        Section(
            "regularization",
            "Regularization",
            unless(facts.pairs, "regularize", "No regularization images."),
            lambda: tables.reg_images(facts, album),
        ),
        Section("runs", "Runs", unless(facts.runs, "flatten", "Nothing was run yet."), lambda: tables.runs(facts)),
    )


def _heading(report: Report) -> Html:
    facts = report.facts
    last = max((run.started for run in facts.runs), default="")[:10]
    words = [counted(facts.kept, "image"), counted(len(facts.triggers), "trigger word"), last]
    return element(
        "header",
        element("p", "prep report", class_="over"),
        element("h1", report.title),
        element("p", " · ".join(word for word in words if word), class_="quiet"),
        class_="top",
    )


def _headline(report: Report) -> Html:
    return element("div", _found_wrong(report.facts), _learned(report.learned), class_="headline")


def _found_wrong(facts: Facts) -> Html:
    counts = Counter(verdict.reason for verdict in facts.left_out)
    most = max(counts.values(), default=1)
    rows = [
        element("li", element("span", reason), meter(number / most, "wrong"), element("b", str(number)))
        for reason, number in counts.most_common(TOP)
    ]
    rest = len(counts) - TOP
    figure = element(
        "p",
        element("b", grouped(len(facts.left_out))),
        element("small", f" of {counted(facts.files, 'file')} set aside"),
        class_="figure",
    )
    words = [f"And {counted(rest, 'other reason')}."] if rest > 0 else []
    if facts.noted:
        words.append(f"{counted(len(facts.noted), 'odd file')} put right.")
    if facts.actions:
        dropped, added = facts.actions.get("dropped", 0), facts.actions.get("added", 0)
        words.append(f"{counted(dropped, 'tag')} dropped, {grouped(added)} added, each with its reason.")
    return element(
        "article",
        element("h2", "What was found wrong"),
        figure,
        element("ul", *rows, class_="bars"),
        element("p", " ".join(words), class_="quiet"),
        class_="card",
    )


def _learned(learned: Learned) -> Html:
    found = learned.found()
    title = element("h2", "What the adapter learned")
    if found is None:
        words = "No adapter was tried yet."
        if learned.samples:
            words = f"{counted(len(learned.samples), 'pair')} of images to look at; nothing was measured on them."
        return element("article", title, element("p", words, class_="quiet"), class_="card")
    figure = element(
        "p",
        element("b", percent(found[0]), class_="was"),
        element("span", "→", class_="arrow"),
        element("b", percent(found[1]), class_="good"),
        element("small", " of the traits found, without the adapter and with it"),
        class_="figure",
    )
    rows = []
    for word in learned.triggers():
        share = learned.found(word)
        if share is not None:
            both = element("span", meter(share[0], "before"), meter(share[1], "after"))
            rows.append(element("li", element("span", word), both, element("b", percent(share[1]))))
    return element("article", title, figure, element("ul", *rows, class_="bars"), class_="card")
