"""Balance, training sizes, regularization pairs and runs."""

from __future__ import annotations

import json

from pipeline.report.album import Album
from pipeline.report.facts import Branch, Bucket, Facts, Pair, StageRun
from pipeline.report.markup import Html, counted, element, grouped, join, meter, percent, row, table

SHAPE_SIDE = 36


def balance(facts: Facts) -> Html:
    """The concept tree with what the folders alone would give each branch, and what it gets."""
    shown = sum(branch.shown for branch in facts.branches if branch.depth == 0)
    intro = element(
        "p",
        f"One epoch shows {grouped(shown)} pictures. The grey bar is a concept's share of the files, "
        "the coloured one its share of what is shown. The exact multiplier is used by this trainer, "
        "the whole repeat by exports to others.",
        class_="lead",
    )
    heads = (
        "concept",
        "files, and what is shown",
        "pictures",
        "of files",
        "of shown",
        "multiplier",
        "repeat",
        "an epoch",
    )
    return join(intro, table(heads, [_branch(branch) for branch in facts.branches], tuple(range(2, 8)), "tree"))


def _branch(branch: Branch) -> Html:
    indent = f"padding-left:{branch.depth * 1.1:.1f}em"
    name = element("span", branch.concept.rpartition("/")[2], style=indent, title=branch.concept)
    bars = join(meter(branch.share_of_files, "before"), meter(branch.share, "after"))
    exact = f"×{branch.exact:.3f}" if branch.exact is not None else ""
    return row(
        name,
        bars,
        grouped(branch.images),
        percent(branch.share_of_files),
        percent(branch.share),
        exact,
        str(branch.repeat) if branch.repeat is not None else "",
        grouped(branch.shown),
        numbers=tuple(range(2, 8)),
        class_="branch" if branch.exact is None else None,
    )


def buckets(facts: Facts) -> Html:
    """Training sizes from tall to wide."""
    most = max(bucket.images for bucket in facts.buckets)
    tallest = max(max(bucket.size) for bucket in facts.buckets)
    rows = [_bucket(bucket, most, tallest) for bucket in facts.buckets]
    intro = element(
        "p",
        f"{counted(len(rows), 'size')}, every one near the same area, so that nothing is squeezed and "
        "little is cut away.",
        class_="lead",
    )
    return join(intro, table(("", "size", "pictures", "", "ratio", "cut away"), rows, (3, 4, 5)))


def _bucket(bucket: Bucket, most: int, tallest: int) -> Html:
    width, height = bucket.size
    scale = SHAPE_SIDE / tallest
    shape = element("span", class_="shape", style=f"width:{width * scale:.1f}px;height:{height * scale:.1f}px")
    return row(
        shape,
        f"{width} × {height}",
        meter(bucket.images / most, "after"),
        grouped(bucket.images),
        f"{width / height:.2f}",
        percent(bucket.loss),
        numbers=(3, 4, 5),
    )


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
    """What was run, when, for how long and with which settings."""
    rows = [_run(run) for run in facts.runs]
    return table(("stage", "started (UTC)", "took", "what came of it", "settings"), rows, (2,), "runs")


def _run(run: StageRun) -> Html:
    counts = ", ".join(f"{number} {reason}" for reason, number in list(run.counts.items())[:8])
    options = json.dumps(dict(run.options), indent=1, ensure_ascii=False)
    settings = element("details", element("summary", "settings"), element("pre", options)) if run.options else ""
    return row(
        element("b", run.stage),
        run.started[:19].replace("T", " "),
        duration(run.seconds),
        counts,
        settings,
        numbers=(2,),
    )


def duration(seconds: float | None) -> str:
    if seconds is None:
        return "not finished"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
