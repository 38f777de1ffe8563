"""A prep.toml that shows every setting of every stage: what is given as it is, all others commented out with default and help."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.config.declared import Setting, declared, help_texts
from pipeline.config.registry import STAGES, StageEntry
from pipeline.config.settings import Settings, toml_text
from pipeline.config.values import describe, toml_value

_HEAD = """
# Every setting of every stage follows with its default, commented out: take the "# " from the line of one, and
# from the [heading] above it, to change it.
"""


def annotated_text(settings: Settings) -> str:
    """The settings as a prep.toml in which nothing has to be looked up; what `load_settings` reads back equal."""
    place = toml_text(Settings(path=settings.path, sources=settings.sources))
    return place + _HEAD + "".join(_section(entry, settings.stages.get(entry.name, {})) for entry in STAGES)


def _section(entry: StageEntry, given: Mapping[str, Any]) -> str:
    options = entry.options()
    settings = [setting for setting in declared(options) if setting.section == "stage"]
    texts, names = help_texts(options), {setting.name for setting in settings}
    others = [f"{key} = {toml_value(value)}" for key, value in given.items() if key not in names]
    lines = [line for each in settings for line in _lines(each, texts.get(each.name, ""), given)]
    heading = f"[{entry.name}]" if given else f"# [{entry.name}]"  # so that a section can be added at the end, too
    return "\n".join(["", *_comment(entry.help), heading, *others, *lines, ""])


def _lines(setting: Setting, text: str, given: Mapping[str, Any]) -> Iterator[str]:
    yield from _comment(text)
    if setting.name in given:
        yield f"{setting.name} = {toml_value(given[setting.name])}"
    elif setting.default is None:
        yield f"# {setting.name} =    # {describe(setting.kind)}; not set"
    else:
        yield f"# {setting.name} = {toml_value(setting.default)}"


def _comment(text: str) -> list[str]:
    return [f"#   {line}" for line in textwrap.wrap(text, 100, break_long_words=False, break_on_hyphens=False)]
