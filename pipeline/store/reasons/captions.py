"""Where a caption comes from, and what was found in a caption's image."""

from __future__ import annotations

from enum import StrEnum

from pipeline.store.reasons.reason import Data, Reason, Table, Words
from pipeline.store.reasons.tags import contradiction_figures


class Origin(StrEnum):
    """How a manual caption came into the set."""

    CAME_WITH_IMAGE = "came_with_image"
    NEW_FILE = "new_file"
    CHANGED = "changed"
    OF_COPY = "of_copy"


class CaptionReason(Reason):
    """Of captions as files (field `manual_caption`), captions that hold (`caption`), all tags of an image (`tags`), and manual
    edits (`manual_edits`). Data of manual captions: `origin`, and `changes` in words of one that was changed."""

    MANUAL = "manual_caption"
    MANUAL_WITH_TRIGGERS = "manual_with_triggers"
    NOT_UTF8 = "not_utf8"
    EDITED = "edited"
    CHOSEN = "chosen"
    NOT_SCORED = "not_scored"
    NO_TAG_LEFT = "no_tag_left"
    SCORED_TAGS = "scored_tags"
    TAGS_WITHOUT_SCORES = "tags_without_scores"
    MANUAL_TAGS = "manual_tags"


class FileEvent(Reason):
    """What happened to a caption file."""

    WRITTEN = "written"
    CAME_WITH_IMAGE = "came_with_image"
    EDITED = "edited_file"
    DELETED = "deleted"
    RESTORED = "restored"
    RESTORED_BY_USER = "restored_by_user"


class FlagReason(Reason):
    """Data: `flags`, [flag, [[tag that raises it, its probability], …]] of each."""

    FLAGGED = "flagged"


class ConflictReason(Reason):
    """Data: `found`, the contradictions as in the value."""

    CONFLICTING = "conflicting"
    FIXED = "fixed_conflicts"


def edits_in_words(data: Data) -> str:
    """`+smile, -hat, boots → red boots`"""
    signs = {"add": "+{}", "remove": "-{}", "replace": "{} → {}"}
    return ", ".join(signs[what].format(*tags) for what, *tags in data["edits"])


def origin_of(data: Data) -> Data:
    """Where a caption comes from, of what a decision of its file says: edits are a change like any other."""
    return {"origin": Origin.CHANGED, "changes": edits_in_words(data)} if "edits" in data else data


def _origin(data: Data) -> str:
    if data.get("origin") == Origin.OF_COPY:
        return f"that of its copy {data['copy']}"
    words = {Origin.CAME_WITH_IMAGE: "came with the image", Origin.NEW_FILE: "a new file"}
    return words.get(data.get("origin", ""), str(data.get("changes", "")))


def _conflicts(data: Data) -> str:
    """`conflicting: hair colour; fixed: eye colour`"""
    fixed = {each["attribute"]: each["fixed"] for each in data["found"]}
    named = (("conflicting", False), ("fixed", True))
    said = ((words, [name for name, done in fixed.items() if done is wanted]) for words, wanted in named)
    return "; ".join(f"{words}: {', '.join(names)}" for words, names in said if names)


def _conflict_figures(data: Data) -> str:
    return "; ".join(map(contradiction_figures, data["found"]))


def _flagged(data: Data) -> str:
    """The tags that raise each flag, the most probable first: `watermark 0.92; english text 0.60`."""
    flags = (", ".join(f"{tag} {score:.2f}" for tag, score in tags) for _, tags in data["flags"])
    return "; ".join(flags)


def _taggers(data: Data) -> str:
    return " + ".join(data["taggers"])


_TAGS = "{tags} tags, {considered} more considered"
C = CaptionReason
WORDS: Table = {
    C.MANUAL: Words("manual caption", _origin),
    C.MANUAL_WITH_TRIGGERS: Words("manual caption, trigger words put in front", _origin),
    C.NOT_UTF8: Words("caption file is not UTF-8", lambda data: f"{data['bytes']} bytes" if "bytes" in data else ""),
    C.EDITED: Words("edited with prep tags", edits_in_words),
    C.CHOSEN: Words("chosen", _TAGS),
    C.NOT_SCORED: Words("not scored", _TAGS),
    C.NO_TAG_LEFT: Words("no tag is left", _TAGS),
    C.SCORED_TAGS: Words(lambda data: f"scores by {' + '.join(data['by'])}", _taggers, "scored"),
    C.TAGS_WITHOUT_SCORES: Words("no scores", _taggers),
    C.MANUAL_TAGS: Words("tags of a manual caption"),
    FileEvent.WRITTEN: Words("written by curation"),
    FileEvent.CAME_WITH_IMAGE: Words("came with the image"),
    FileEvent.EDITED: Words("edited by a person"),
    FileEvent.DELETED: Words("deleted by a person"),
    FileEvent.RESTORED: Words("put back"),
    FileEvent.RESTORED_BY_USER: Words("put back by a person"),
    FlagReason.FLAGGED: Words(
        lambda data: f"flagged: {', '.join(flag for flag, _ in data['flags'])}", _flagged, "flagged"
    ),
    ConflictReason.CONFLICTING: Words(_conflicts, _conflict_figures, "conflicting"),
    ConflictReason.FIXED: Words(_conflicts, _conflict_figures, "conflicts fixed"),
}
