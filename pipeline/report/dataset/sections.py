"""What was found in the folders, what became of the tags, and what the trigger words absorb."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

from pipeline.core.humanize import counted, grouped, percent
from pipeline.report.dataset.facts import Curated, Facts, TagStep, Trigger, Verdict
from pipeline.report.html.markup import Html, element, join, meter, row, table
from pipeline.report.html.thumbnails import Thumbnails

MOST_SHOWN = 36
ACTIONS = ("kept", "added", "renamed", "dropped")


def left_out(facts: Facts, album: Thumbnails) -> Html:
    """What was set aside, by reason; copies beside the image that was kept instead."""
    if not facts.left_out:
        intro = element("p", f"Nothing: all of the {counted(facts.files, 'file')} are used.", class_="lead")
    else:
        left = f"{counted(len(facts.left_out), 'file was', 'files were')} set aside, of {grouped(facts.files)}."
        intro = element(
            "p",
            f"{left} Nothing was deleted, and the originals were not touched; another threshold brings an image back.",
            class_="lead",
        )
    return join(intro, _by_reason(facts.left_out, album), noted(facts, album))


def noted(facts: Facts, album: Thumbnails) -> Html | str:
    """What was kept although something was unusual about it."""
    if not facts.noted:
        return ""
    return join(element("h3", "Kept, and worth knowing", class_="apart"), _by_reason(facts.noted, album))


def _by_reason(found: tuple[Verdict, ...], album: Thumbnails) -> Html:
    groups = groupby(found, lambda verdict: verdict.reason)
    return element("div", *(_reason(reason, list(group), album) for reason, group in groups), class_="reasons")


def _reason(reason: str, found: list[Verdict], album: Thumbnails) -> Html:
    shown = [_copy(verdict, album) if verdict.keeper else _single(verdict, album) for verdict in found[:MOST_SHOWN]]
    rest = len(found) - MOST_SHOWN
    more = element("p", f"and {grouped(rest)} more", class_="quiet") if rest > 0 else ""
    title = element("h4", reason, " ", element("span", str(len(found)), class_="count"))
    return element("div", title, element("div", *shown, class_="shelf"), more, class_="reason")


def _single(verdict: Verdict, album: Thumbnails) -> Html:
    return element("figure", album.thumbnail(verdict.file, verdict.name), _words(verdict), class_="item")


def _copy(verdict: Verdict, album: Thumbnails) -> Html:
    loser, keeper = album.thumbnail(verdict.file, verdict.name), album.thumbnail(verdict.keeper_file, verdict.keeper)
    sides = element(
        "div",
        element("span", loser, element("small", "set aside"), class_="loser"),
        element("span", keeper, element("small", "kept"), class_="keeper"),
        class_="copies",
    )
    return element("figure", sides, _words(verdict), class_="item wide")


def _words(verdict: Verdict) -> Html:
    evidence = verdict.evidence
    if verdict.keeper:
        evidence = evidence.replace(verdict.keeper, verdict.keeper.rpartition("/")[2])
    return element(
        "figcaption",
        element("span", verdict.name, class_="name"),
        element("span", verdict.concept, class_="where"),
        element("span", evidence, class_="why"),
    )


def tags(facts: Facts, album: Thumbnails) -> Html:
    """Every tag considered for some images of every concept, and what was dropped most."""
    total = sum(facts.actions.values()) + facts.unlikely
    said = ", ".join(f"{grouped(number)} {action}" for action, number in Counter(facts.actions).most_common())
    said += f", {grouped(facts.unlikely)} too improbable" if facts.unlikely else ""
    legend = element(
        "p",
        *(join(element("span", action, class_=f"tag {action}"), " ") for action in ACTIONS),
        "Hold the pointer on a tag, or open its list, to see why.",
        class_="legend",
    )
    rows = [
        row(reason, element("span", ", ".join(examples), class_="quiet"), str(number), numbers=(2,))
        for reason, number, examples in facts.dropped_for
    ]
    dropped: Html | str = ""
    if rows:
        heads = ("reason", "most often", "times")
        dropped = join(element("h3", "Why tags were dropped", class_="apart"), table(heads, rows, (2,)))
    return join(
        element("p", f"{grouped(total)} tags were considered: {said}.", class_="lead"),
        legend,
        element("div", *(_curated(image, album) for image in facts.curated), class_="masonry"),
        dropped,
    )


def _curated(image: Curated, album: Thumbnails) -> Html:
    steps = [_step(step) for step in image.steps if not step.unlikely]
    changes = [step for step in image.steps if step.action != "kept" and not step.unlikely]
    whys = [element("li", element("b", step.tag), f" {step.action}: {step.reason}") for step in changes]
    unlikely = [step for step in image.steps if step.unlikely]
    if unlikely:
        whys.append(element("li", "too improbable: ", ", ".join(step.tag for step in unlikely)))
    summary = element("summary", f"why, {counted(len(changes), 'change')}")
    details = element("details", summary, element("ul", *whys)) if whys else ""
    hand = element("span", "written by hand", class_="hand") if image.human else ""
    title = element("p", element("span", image.name, class_="name"), element("span", image.concept, class_="where"))
    text = element("code", image.caption)
    caption = element("p", element("span", "caption", class_="label"), hand, text, class_="caption")
    body = element("div", title, element("p", *steps, class_="tags"), caption, details)
    return element("article", album.thumbnail(image.file, image.name), body, class_="card curated")


def _step(step: TagStep) -> Html:
    why = f"{step.action}: {step.reason}" if step.reason else step.action
    known = step.action if step.action in ACTIONS else "kept"
    return join(element("span", step.tag, class_=f"tag {known}", title=why), " ")


def absorbed(facts: Facts, album: Thumbnails) -> Html:
    """What each trigger word is to mean: tags left out so that the word takes their place."""
    intro = element(
        "p",
        "A trait that is true of nearly every image of a trigger word is left out of the captions, "
        "so that the word itself comes to mean it. What varies stays a tag, and can be prompted for.",
        class_="lead",
    )
    return join(intro, element("div", *(_absorbing(trigger, album) for trigger in facts.triggers), class_="masonry"))


def _absorbing(trigger: Trigger, album: Thumbnails) -> Html:
    strip = element("div", *(album.thumbnail(file, name) for name, file in trigger.references), class_="strip small")
    where = element("p", f"{counted(trigger.images, 'image')} in {', '.join(trigger.concepts)}", class_="quiet")
    rows = []
    for each in trigger.absorbed:
        share, tag = each.images / each.total, join(each.tag, element("small", each.figures, class_="figures"))
        rows.append(row(tag, meter(share, "after"), f"{each.images} of {each.total}", percent(share), numbers=(2, 3)))
    nothing = element("p", "absorbs nothing; every tag stays", class_="quiet")
    body = table(("tag", "", "left out of", "share"), rows, (2, 3), "absorbing") if rows else nothing
    return element("article", element("h3", trigger.word), where, strip, body, class_="card")
