"""Whom the images of a folder are for, by its name, with or without the repeats that kohya's trainers read in front of it.

`Lumi` and `1_Lumi` name a concept, or a node of the tree of concepts. `1_woman` names a class: it is for the concepts that
are called so with a word in front (`20_pralyco woman`), whose class word it is, or, as kohya's trainers have it, for all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pipeline.concepts.regularization.class_words import ClassWords
from pipeline.core.filenames import concept_of, flat, same_file_key, without_repeats

EVERYONE = ""
"""The pool of what lies flat in the folder."""


@dataclass(frozen=True, slots=True)
class FolderUse:
    """The nodes that a folder's images are for, what stands for their captions where they have none, how often they are
    used beside others, and what the folder is called in the set."""

    nodes: tuple[str, ...]
    caption: str | None = None
    repeats: int = 1
    called: str = ""


class FolderNames:
    """Reads the names of folders, by the concepts of a set and their class words."""

    def __init__(self, concepts: Collection[str], words: ClassWords) -> None:
        self._concepts, self._words, self._nodes = sorted(concepts), words, _nodes(concepts)

    def use(self, folder: str, top: bool) -> FolderUse | None:
        """
        Args:
            folder: its path below the one that the person named, parted by /; that one's own name with `top`.
        Returns:
            None for a folder that is named like nothing known.
        """
        parts = folder.split("/")
        numbered = [without_repeats(part) for part in parts]
        repeats = numbered[-1][0] if numbered[-1] else 1
        plain = "/".join(each[1] if each else part for part, each in zip(parts, numbered, strict=True))
        if top:
            return FolderUse((EVERYONE,), plain if numbered[-1] else self._class_word(EVERYONE), max(1, repeats))
        for name in (folder, plain, "/".join(map(concept_of, parts)), "/".join(map(concept_of, plain.split("/")))):
            node = self._nodes.get(same_file_key(name))
            if node is not None:
                return FolderUse((node,), self._class_word(node), max(1, repeats), flat(node))
        name = plain.rpartition("/")[2]
        if nodes := self._of_class(name):
            return FolderUse(nodes, name, max(1, repeats), name)
        return FolderUse((EVERYONE,), name, max(1, repeats), name) if numbered[-1] else None

    def _class_word(self, node: str) -> str | None:
        """The class word of all concepts below a node, if they have one in common."""
        below = [each for each in self._concepts if not node or each == node or each.startswith(f"{node}/")]
        words = {self._words.of(each) for each in below if not self._words.is_style(each)} - {""}
        return words.pop() if len(words) == 1 else None

    def _of_class(self, name: str) -> tuple[str, ...]:
        """The concepts that are of a class, as their names or their class words say."""
        word = _words(name)
        called = (each for each in self._concepts if _words(each.rpartition("/")[2]).endswith(f" {word}"))
        so = (each for each in self._concepts if _words(self._words.of(each)) == word)
        return tuple(dict.fromkeys((*called, *so)))


def _words(text: str) -> str:
    return " ".join(text.replace("_", " ").casefold().split())


def _nodes(concepts: Iterable[str]) -> dict[str, str]:
    """Every node of the tree of concepts by its name, and each concept by the last part of it where that is one's alone."""
    found: dict[str, str] = {}
    last: dict[str, set[str]] = defaultdict(set)
    for concept in sorted(concepts):
        parts = concept.split("/")
        last[same_file_key(parts[-1])].add(concept)
        for count in range(1, len(parts) + 1):
            node = "/".join(parts[:count])
            found.setdefault(same_file_key(node), node)
    alone = {name: next(iter(those)) for name, those in last.items() if len(those) == 1}
    return alone | found
