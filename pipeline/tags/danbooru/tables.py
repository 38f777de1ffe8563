"""The tables of this folder: a line for every tag, `hat < beret, top hat`, of what it is implied by or also called."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files

IMPLICATIONS, ALIASES, TAGS = "implications.txt", "aliases.txt", "tags.txt"
_BESIDE, _BETWEEN = " < ", ", "


def written(groups: Mapping[str, Iterable[str]], head: str) -> str:
    """A table as text: `groups` is a tag → the names behind it; `head` says where it comes from."""
    lines = [f"{tag}{_BESIDE}{_BETWEEN.join(sorted(names))}" for tag, names in sorted(groups.items())]
    return "\n".join([f"# {head}", *lines]) + "\n"


def read(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(tag, names behind it) of a table's text."""
    for line in text.splitlines()[1:]:
        tag, _, names = line.partition(_BESIDE)
        yield tag, tuple(names.split(_BETWEEN))


@functools.cache
def implications() -> Mapping[str, tuple[str, ...]]:
    """Tag → the tags that it implies directly."""
    found: dict[str, list[str]] = {}
    for parent, children in read(_text(IMPLICATIONS)):
        for child in children:
            found.setdefault(child, []).append(parent)
    return {child: tuple(parents) for child, parents in found.items()}


@functools.cache
def aliases() -> Mapping[str, str]:
    """Another name → the tag that it stands for."""
    return {name: tag for tag, names in read(_text(ALIASES)) for name in names}


@functools.cache
def tags() -> frozenset[str]:
    """The general tags of the board with so many posts that taggers learn them."""
    return frozenset(_text(TAGS).splitlines()[1:])


def _text(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")
