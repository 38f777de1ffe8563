"""What the documentation says is so: the paths it names exist, no package is forgotten, and each says what it may import."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from pipeline.config.declared import declared
from pipeline.config.registry import STAGES

ROOT = Path(__file__).parents[1]
TOPS = ("pipeline", "taggers", "train")
PACKAGES = sorted(file.parent for top in TOPS for file in (ROOT / top).rglob("__init__.py"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
PATH = re.compile(r"`((?:pipeline|taggers|train|tests|docs|examples|\.ci|\.github)/[^`\s]*)`")
WILD = re.compile(r"NAME|\*")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_it_names_exists(page: Path) -> None:
    named = PATH.findall(page.read_text(encoding="utf-8"))
    assert [path for path in named if not WILD.search(path) and not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    local = [
        target for target in targets if "://" not in target and not target.startswith(("commands.md", "reference/"))
    ]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_the_architecture_names_every_package() -> None:
    named = PATH.findall((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))
    folders = {(ROOT / path if path.endswith("/") else (ROOT / path).parent).resolve() for path in named}
    assert [package.relative_to(ROOT).as_posix() for package in PACKAGES if package not in folders] == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.relative_to(ROOT).as_posix())
def test_a_package_says_what_lives_in_it_and_what_it_may_import(package: Path) -> None:
    tree = ast.parse((package / "__init__.py").read_text(encoding="utf-8"))
    text = ast.get_docstring(tree) or ""
    assert len(tree.body) == 1, "no code in an __init__.py"
    assert re.search(r"^(.*\. )?(May import: |Imports run down)", text, re.MULTILINE), text
    named = [name for line in re.findall(r"^- ([^:\n]*)", text, re.MULTILINE) for name in re.findall(r"`(\w+)`", line)]
    there = {path.stem for path in package.iterdir()}
    assert [name for name in named if name not in there] == []


def test_the_changelog_names_options_as_they_are() -> None:
    rows = re.findall(
        r"^ *\| (\w+) \| `(\w+)` \| `(\w+)` \|$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )
    known = {entry.name: {setting.name for setting in declared(entry.options())} for entry in STAGES}
    assert len(rows) > 10
    assert [row for row in rows if row[2] not in known[row[0]]] == [], "new names that no option has"
    assert [row for row in rows if row[1] in known[row[0]]] == [], "old names that an option still has"


def test_types_are_shipped_with_every_package() -> None:
    assert [top for top in TOPS if not (ROOT / top / "py.typed").is_file()] == []
