"""The sources of a set, folders, archives and repositories: what lies in them, and how prep.toml remembers them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from pipeline.config.annotated import annotated_text
from pipeline.config.settings import Settings, toml_text
from pipeline.config.values import absolute_source
from pipeline.core.errors import PrepError
from pipeline.sources import hub
from pipeline.sources.archive import archives
from pipeline.sources.scan import scan
from pipeline.sources.source_file import INSIDE, Found, is_utf8, printable
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.placement import PlacementReason
from pipeline.store.reasons.reason import Cause

ProgressCallback = Callable[[str, int, int], None]


# --- what lies in them


def look(sources: Iterable[str], follow_links: bool) -> Iterator[str]:
    """What would change if a source did, without unpacking or fetching anything: a text for every file of the folders."""
    for source in sources:
        if hub.is_address(source):
            yield source
        elif Path(source).is_file():
            yield f"{source} {archives.state(Path(source))}"
    for found in scan(_folders(sources), follow_links):
        yield f"{found.path}\0{found.kind}\0{found.bytes}\0{found.modified}\0{_told(found)}"


def _told(found: Found) -> str:
    problem = found.problem
    return "" if problem is None else " ".join([problem.reason, *map(str, problem.data.values())])


def contents(
    sources: Iterable[str],
    root: Path,
    follow_links: bool,
    progress: ProgressCallback = lambda *_: None,
    zip_encoding: str = "auto",
) -> Iterator[Found]:
    """Everything in the sources; archives are unpacked and repositories fetched unless they are here already.

    Args:
        sources: folders, archives and repositories.
        root: the set, in whose cache archives are unpacked.
    Raises:
        PrepError: one cannot be had, or is itself a set.
    """
    sources, cache = tuple(sources), root / "cache"
    for found in scan(_folders(sources), follow_links):
        yield replace(found, problem=Cause(PlacementReason.ARCHIVE_A_SOURCE)) if found.path in sources else found
    for source in sources:
        if hub.is_address(source) and hub.address(source).is_archive:
            snapshot, _ = hub.fetch(source, cache / "hub", progress)
            archive = Path(os.path.realpath(Path(snapshot) / hub.address(source).folder))
            yield from archives.entries(archive, cache / "archives", source, progress, zip_encoding)
        elif hub.is_address(source):
            yield from hub.scan(source, cache / "hub", progress)
        elif Path(source).is_file():
            yield from archives.entries(Path(source), cache / "archives", "", progress, zip_encoding)


def _folders(sources: Iterable[str]) -> list[str]:
    return [source for source in sources if not hub.is_address(source) and Path(source).is_dir()]


def holds(source: str, path: str) -> bool:
    """Whether a file, as the record names it, belongs to a source."""
    return path.startswith((source.rstrip("/" + os.sep) + os.sep, source.rstrip("/") + "/", source + INSIDE))


def checked(manifest: Manifest, sources: tuple[str, ...]) -> tuple[str, ...]:
    """The sources, each there or once read.

    Raises:
        PrepError: there are none, or one was never there.
    """
    if not sources:
        raise PrepError(
            "no source folders",
            'name them, prep flatten FOLDER... SET, or list them under [set] in prep.toml: sources = ["FOLDER"]',
        )
    for source in sources:
        if hub.is_address(source) or Path(source).exists():
            continue
        if not any(holds(source, image.source) for image in manifest.images()):
            raise PrepError(f"no folder {source}", "mend the sources, on the command line or under [set] in prep.toml")
    return sources


# --- how they are remembered


def with_sources(settings: Settings, sources: Iterable[Path | str]) -> Settings:
    """The settings with more sources; those already named stay, a repository at another revision replaces itself.

    Raises:
        PrepError: one is no source, or a person wrote the prep.toml, so that it is not for us to change.
    """
    listed = list(settings.sources)
    for source in sources:
        name = absolute_source(str(source), Path.cwd())
        if hub.is_address(name):
            _add_repository(listed, name)
        elif name not in listed:
            _check(name)
            listed.append(name)
    if tuple(listed) == settings.sources:
        return settings
    wider = replace(settings, sources=tuple(listed))
    if settings.file and settings.file.read_text(encoding="utf-8-sig") not in (
        toml_text(settings),
        annotated_text(settings),
    ):
        new = next(source for source in listed if source not in settings.sources)
        lines = toml_text(Settings(sources=wider.sources)).removeprefix("[set]\n").strip()
        raise PrepError(f"{settings.file} does not list the source {new}", f"write under [set] there:\n{lines}")
    return wider


def _add_repository(listed: list[str], source: str) -> None:
    """Add a repository's folder at its commit. One that is listed stays at its commit until another is named."""
    wanted = hub.address(source)
    for place, known in enumerate(listed):
        there = hub.address(known) if hub.is_address(known) else None
        if there is not None and (there.repo, there.folder) == (wanted.repo, wanted.folder):
            if wanted.revision and wanted.revision != there.revision:
                listed[place] = hub.pinned(source)
            return
    listed.append(hub.pinned(source))


def _check(source: str) -> None:
    path = Path(source)
    if "://" in source:
        raise PrepError(f"{source} is no source that is known", f"name a folder, an archive, or {hub.FORM}")
    if not is_utf8(source):
        raise PrepError(f"the name of {printable(source)} is not UTF-8", "rename it")
    if not path.exists():
        raise PrepError(
            f"no folder {source}", "name folders of images first and the set last: prep flatten FOLDER... SET"
        )
    if not path.is_dir() and not archives.is_archive(path):
        raise PrepError(
            f"{source} is not a folder, nor an archive that is read",
            "name folders of images, .zip, .tar or .tar.gz files first and the set last: prep flatten FOLDER... SET",
        )
