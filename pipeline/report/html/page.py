"""A page: sections filled into templates, as one HTML file that loads nothing and runs nothing but its own script."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipeline.core.humanize import counted, duration, grouped, percent
from pipeline.report.html.thumbnails import Thumbnails

PACKAGE = "pipeline.report.html"


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page: `template` shows `view`; where the view is None, `missing` says why."""

    id: str
    title: str
    template: str
    view: object | None
    missing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A whole page: `template` extends page.html and shows `top` above the sections.

    `styles` and `script` are files in assets/; the script is "" where there is none. `beside` says that the images are files
    beside the page.
    """

    template: str
    title: str
    top: object
    sections: Sequence[Section]
    styles: Sequence[str]
    script: str = ""
    beside: bool = False


def render_page(page: Page) -> str:
    """The page as one text with all images inside it; what no UTF-8 can hold, such as a byte of a file name, is
    written as a backslash escape."""
    script = _asset(page.script) if page.script else Markup()
    text = (
        environment()
        .get_template(page.template)
        .render(
            page=page,
            policy=_policy(script, page.beside),
            styles=Markup("\n").join(_asset(style) for style in page.styles),
            script=script,
            thumbnails=Thumbnails(),
        )
    )
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@cache
def environment() -> Environment:
    """The templates of this package: everything is escaped on its way in, and an unknown name is an error."""
    templates = Environment(
        loader=PackageLoader(PACKAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    templates.filters |= {
        "percent": percent,
        "grouped": grouped,
        "counted": counted,
        "duration": duration,
        "json_text": _json_text,
    }
    return templates


def _asset(name: str) -> Markup:
    return Markup(resources.files(PACKAGE).joinpath("assets", name).read_text(encoding="utf-8"))


def _policy(script: str, beside: bool) -> str:
    """The Content-Security-Policy under which only this very script runs, and images come from inside the page or from files
    beside it."""
    images = "img-src data: 'self' file:" if beside else "img-src data:"
    policy = f"default-src 'none'; {images}; style-src 'unsafe-inline'"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return policy + f"; script-src 'sha256-{digest}'" if script else policy


def _json_text(value: Any, indent: int | None = None) -> str:
    """JSON for people; unlike Jinja's tojson it is plain text, which is escaped like any other."""
    return json.dumps(dict(value) if isinstance(value, Mapping) else value, indent=indent, ensure_ascii=False)
