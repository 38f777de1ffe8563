"""The frame of a page: one HTML file with its styles and script in it, which can load nothing and run nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources

from pipeline.report.html.markup import Html, element


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page. `missing` says why there is nothing to show, "" where there is."""

    id: str
    title: str
    missing: str
    body: Callable[[], Html]


def document(title: str, top: Sequence[str], parts: Sequence[Section], styles: Sequence[str], script: str = "") -> str:
    """A page as one text: `top`, links to the parts, and the parts; styles and the script, if any, are files of this
    package."""
    code = _packaged(script) if script else Html()
    allowed = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode("ascii")
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    policy += f"; script-src 'sha256-{allowed}'" if script else ""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", *(_packaged(style) for style in styles)),
    )
    links = [element("a", part.title, href=f"#{part.id}", class_="empty" if part.missing else None) for part in parts]
    contents = element("nav", *links, aria_label="Contents")
    footer = element("footer", "Made by prep. This page is one file and loads nothing from anywhere.")
    main = element("main", *top, contents, *(_section(part) for part in parts), footer)
    body = element("body", main, *([element("script", code)] if script else []))
    return "<!DOCTYPE html>\n" + element("html", head, body, lang="en") + "\n"


def _packaged(name: str) -> Html:
    return Html(resources.files("pipeline.report.html").joinpath(name).read_text(encoding="utf-8"))


def _section(part: Section) -> Html:
    inside = element("p", part.missing, class_="missing") if part.missing else part.body()
    return element("section", element("h2", part.title), inside, id=part.id)
