"""Whatever a template is given is text: it is escaped, it must be there, and the page can be written as UTF-8."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import pytest
from jinja2 import StrictUndefined, UndefinedError

from pipeline.report.dataset.excluded import ExcludedView, ReasonGroup
from pipeline.report.dataset.facts import Verdict
from pipeline.report.html.page import Page, Section, environment, render_page

TEMPLATES = sorted(environment().list_templates())
HOSTILE = (
    "<script>alert(1)</script>",
    "</style></script></title><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)" x="',
    "' onmouseover='alert(1)' x='",
    "]]><!--",
    "{{ page }}{% include 'page.html' %}",
    "&lt;b&gt;",
    "\u202egnp.txt",
    "שלום.png",
    "bad \udcff\udc80 bytes.png",
    "\x00\x1b[31m.png",
)


class Seen(HTMLParser):
    """The names of all elements and attributes, the texts, and the values of attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.values: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.values += [value or "" for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


class Headline:
    """What the set's page shows above its sections, with a text in every place that has one."""

    kept = triggers = files = excluded = other_reasons = noted = pairs = 0
    tags = recall = None
    by_trigger = ()

    def __init__(self, text: str) -> None:
        self.last = text
        self.reasons = ({"reason": text, "number": 1, "share": 1.0},)


def page_of(text: str) -> str:
    copy = Verdict(text, Path("none.png"), text, text, text, text, Path("none.png"))
    groups = (ReasonGroup(text, 2, (copy, replace(copy, keeper="")), 0),)
    sections = (
        Section("excluded", text, "dataset/excluded.html", ExcludedView(2, 2, groups, groups)),
        Section("other", text, "dataset/tags.html", None, text),
    )
    return render_page(
        Page(template="dataset/page.html", title=text, top=Headline(text), sections=sections, styles=("page.css",))
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_stays_text_wherever_it_stands(text: str) -> None:
    harmless, page = Seen(page_of("harmless")), page_of(text)
    seen = Seen(page)
    assert seen.elements == harmless.elements and seen.attributes == harmless.attributes
    written = text.encode("utf-8", "backslashreplace").decode()
    assert sum(written.replace("\x00", "") in found.replace("\x00", "") for found in seen.texts) >= 6
    assert sum(written == value for value in seen.values) >= 2
    assert page.encode("utf-8")


def test_everything_is_escaped_and_nothing_may_be_missing() -> None:
    assert environment().autoescape is True and environment().undefined is StrictUndefined
    with pytest.raises(UndefinedError):
        environment().get_template("macros.html").module.image({"name": "x"})


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_template_lets_markup_through_or_loads_anything(name: str) -> None:
    text = resources.files("pipeline.report.html").joinpath("templates", name).read_text(encoding="utf-8")
    assert not re.search(r"\|\s*safe\b|autoescape|Markup", text)
    assert not re.search(r"""(src|href)=(?!"\{\{|"#\{\{)""", text), "an address that is written into the template"
    assert not re.search(r"""=\{\{|='\{\{| on\w+=""", text), "an attribute without double quotes, or a handler"


def test_every_template_is_a_page_a_section_or_a_part_of_these() -> None:
    found = {name.partition("/")[0] for name in TEMPLATES}
    assert found == {"page.html", "macros.html", "chart.html", "dataset", "run", "grid", "compare"}


def test_only_the_package_s_own_files_are_markup() -> None:
    source = resources.files("pipeline.report")
    files = [file for folder in ("html", "dataset", "run", "grid") for file in source.joinpath(folder).iterdir()]
    using = {file.name for file in files if file.name.endswith(".py") and "Markup" in file.read_text(encoding="utf-8")}
    assert using == {"page.py"}
