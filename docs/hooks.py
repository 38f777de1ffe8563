"""Pages made when the site is built: the commands from their help, and the API from the tree, a page for each package."""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from pipeline.cli.main import prep

ROOT = Path(__file__).parents[1]
PACKAGES = ("pipeline", "taggers", "train")
COMMANDS = "commands.md"
INTRODUCTION = """# Commands

What `prep COMMAND --help` says. Every option of a stage is also a key in the section of that stage in `prep.toml` or in the file
that `prep run` takes: `--batch-size 4` of `prep train` is `batch_size = 4` below `[train]`.
"""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The generated pages stand last in the navigation."""
    sections: list[dict[str, Any]] = [
        {top: [f"reference/{name}.md" for name in packages() if name.split(".")[0] == top]} for top in PACKAGES
    ]
    assert config.nav is not None
    config.nav = [*config.nav, {"Commands": COMMANDS}, {"API": sections}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    context = click.Context(prep, info_name="prep")
    files.append(File.generated(config, COMMANDS, content=INTRODUCTION + "".join(command_texts(prep, context))))
    for package in packages():
        files.append(File.generated(config, f"reference/{package}.md", content=package_page(package)))
    return files


def packages() -> list[str]:
    """Every package by its dotted name, each before what lies in it."""
    folders = (file.parent for top in PACKAGES for file in (ROOT / top).rglob("__init__.py"))
    return sorted(".".join(folder.relative_to(ROOT).parts) for folder in folders)


def package_page(package: str) -> str:
    """The Markdown of one package: its docstring, then every module in it."""
    folder = ROOT.joinpath(*package.split("."))
    modules = sorted(file.stem for file in folder.glob("*.py") if not file.stem.startswith("__"))
    text = f"# {package}\n\n::: {package}\n    options:\n      show_root_heading: false\n      members: false\n"
    return text + "".join(f"\n::: {package}.{module}\n" for module in modules)


def command_texts(command: click.Command, context: click.Context) -> Iterator[str]:
    """The Markdown of a command and of all below it, in the order of its help."""
    depth = len(context.command_path.split())
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    text = plain(html.escape(inspect.cleandoc(command.help or ""), quote=False)).replace("\b\n", "")
    yield f"\n{'#' * (depth + 1)} {context.command_path}\n\n{text}\n\n```\n{usage}\n```\n"
    records = filter(None, (option.get_help_record(context) for option in command.get_params(context)))
    rows = [f"| `{names}` | {cell(text)} |\n" for names, text in records if text]
    yield "\n| option | what it does |\n|---|---|\n" + "".join(rows)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from command_texts(below, click.Context(below, info_name=name, parent=context))


def plain(text: str) -> str:
    """Text as Markdown; what stands in backticks stays code."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([\\*_\[\]#])", r"\\\1", part) for part in parts)


def cell(text: str) -> str:
    """Text in one cell of a table."""
    return " ".join(plain(html.escape(text, quote=False)).split()).replace("|", "&#124;")
