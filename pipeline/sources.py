"""The source folders of a set, and how prep.toml remembers them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipeline.errors import PrepError
from pipeline.files import write_text
from pipeline.settings import FILE, Settings, absolute, load_settings, toml_text


def with_sources(settings: Settings, sources: tuple[Path, ...]) -> Settings:
    """The settings with more source folders; those already named stay.

    Raises:
        PrepError: one is no folder, or a person wrote the prep.toml, so that it is not for us to change.
    """
    whole = dict.fromkeys(absolute(source.expanduser()) for source in sources)
    more = tuple(source for source in whole if source not in settings.sources)
    if not more:
        return settings
    for source in more:
        if any(0xD800 <= ord(letter) < 0xE000 for letter in str(source)):
            raise PrepError(f"the name of the folder {source} is not UTF-8", "rename it")
        if not source.is_dir():
            raise PrepError(
                f"{source} is not a folder" if source.exists() else f"no folder {source}",
                "name folders of pictures first and the set last: prep flatten FOLDER... SET",
            )
    wider = replace(settings, sources=settings.sources + more)
    if settings.file and settings.file.read_text(encoding="utf-8-sig") != toml_text(settings):
        listed = toml_text(Settings(sources=wider.sources)).removeprefix("[set]\n").strip()
        raise PrepError(f"{settings.file} does not list the source {more[0]}", f"write under [set] there:\n{listed}")
    return wider


def remember(root: Path, before: Settings, now: Settings) -> None:
    """Write SET/prep.toml where there is none, or where sources were added to one that prep wrote itself."""
    file = root / FILE
    if (now.sources and not file.exists()) or (before.file == file and before.sources != now.sources):
        write_text(file, toml_text(replace(now, path=None)))


def same_settings(root: Path, settings: Settings) -> bool:
    """Whether SET/prep.toml says the same as these settings, or is not there to say otherwise."""
    file = root / FILE
    if not file.exists():
        return True
    there = load_settings(file)
    return (there.sources, there.stages) == (settings.sources, settings.stages)
