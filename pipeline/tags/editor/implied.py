"""What tags of a set imply, and what it would do to its captions to keep exact tags, general ones, or both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.store.manifest import Manifest
from pipeline.store.reasons.tags import TagReason
from pipeline.store.values.tags import TagAction, TagDecision
from pipeline.tags.captions.triggers import names_in
from pipeline.tags.danbooru import tables
from pipeline.tags.danbooru.board_csv import read_implications
from pipeline.tags.editor.filters import Selection
from pipeline.tags.editor.queries import rows_of
from pipeline.tags.vocabulary.implications import BOARD, Implications
from pipeline.tags.vocabulary.person_count import people
from pipeline.tags.vocabulary.rules_file import read_rules

EXAMPLES = 8
"""Exact tags that a line names."""
_HELD_THEN = frozenset(
    {TagReason.IMPLIED, TagReason.GENERAL, TagReason.CORE, TagReason.COLOUR_OF_CORE, TagReason.JOINED}
    | {TagReason.SAID_BY_TRIGGER, TagReason.TAG_LIMIT, TagReason.TOKEN_LIMIT, TagReason.CONFLICT_FIXED}
)
"""Why a tag left a caption after it was chosen, as of which it was there to imply and to be implied."""
_CAME_LATER = frozenset({TagReason.TRIGGER, TagReason.KEEP_SEPARATOR, TagReason.FOLDER_TAG, TagReason.GENERAL})
"""Why a tag came into a caption that nothing implies or is implied by."""


def implied_in(manifest: Manifest, selection: Selection, file: Path | None) -> list[Mapping[str, Any]]:
    """A line for every class of tags of the set, those of most images first: a general tag, and how many captions have it
    where the exact tags of the class are kept, both, or the general one; and the exact tags, the commonest first.

    Args:
        file: a board's implications; else those of the last curation.
    Raises:
        PrepError: the file, or that of the last curation's rules, cannot be read.
    """
    known = known_implications(manifest, file)
    concepts = {shown.path: shown.concept for shown in selection.images}
    counts: dict[str, Counter[str]] = {"specific": Counter(), "both": Counter(), "general": Counter()}
    exact: dict[str, Counter[str]] = {}
    for path, rows in rows_of(manifest, concepts):
        tags = chosen(rows)
        found = people(tags)
        named = len(names_in(concepts[path]))
        several = max(found or 0, named if named > 1 else 0) > 1
        counts["both"].update(tags.keys())
        counts["specific"].update(tags.keys() - known.needless(tags, not several).keys())
        above = {tag: known.above(tag).keys() & _general(known, tag) for tag in tags}
        counts["general"].update({*tags, *(parent for parents in above.values() for parent in parents)})
        for tag, parents in above.items():
            for parent in parents:
                exact.setdefault(parent, Counter())[tag] += 1
    lines = [
        {"class": parent, **{level: count[parent] for level, count in counts.items()}, "exact": _some(children)}
        for parent, children in exact.items()
    ]
    return sorted(lines, key=lambda line: (-line["general"], line["class"]))


def chosen(rows: Iterable[TagDecision]) -> dict[str, float]:
    """The tags of an image as they were before any was left out for what others say, each once."""
    found: dict[str, float] = {}
    for tag, action, reason, data in rows:
        joined = action == TagAction.ADDED and reason == TagReason.JOINED
        here = action in (TagAction.KEPT, TagAction.ADDED) and reason not in _CAME_LATER and not joined
        if here or (reason in _HELD_THEN and not joined):
            found[tag] = data.get("score", 1.0)
    return found


def _general(known: Implications, tag: str) -> Collection[str]:
    """The tags above one that are tags of the board or of its table, not only words at its end."""
    return [parent for parent in known.above(tag) if parent in tables.tags() or parent in known.parents]


def _some(children: Counter[str]) -> str:
    ranked = sorted(children.items(), key=lambda item: (-item[1], item[0]))
    more = f" and {len(ranked) - EXAMPLES} more" if len(ranked) > EXAMPLES else ""
    return ", ".join(f"{tag} {count}" for tag, count in ranked[:EXAMPLES]) + more


def known_implications(manifest: Manifest, file: Path | None) -> Implications:
    """What implies what, by a board and by the rules of the last curation; the set's own scores are not asked again."""
    run = manifest.last_run("curate")
    options = run.options if run is not None else {}
    rules = read_rules(Path(options["rules"])) if options.get("rules") else None
    file = file or (Path(options["implications"]) if options.get("implications") else None)
    board = read_implications(file) if file else tables.implications()
    asked, distinct = (rules.imply, rules.distinct) if rules else ((), ())
    return Implications(board, file.name if file else BOARD, asked=asked, distinct=distinct)
