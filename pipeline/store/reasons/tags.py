"""Why a tag is in a caption or not."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from pipeline.store.reasons.reason import NOTHING, Data, Reason, Table, Words


class TagReason(Reason):
    """Data of a tag that was renamed or came of another: `to` or `from`, beside what the reason has itself."""

    TRIGGER = "trigger_word"
    KEEP_SEPARATOR = "keep_separator"
    ABOVE_THRESHOLD = "above_threshold"
    BELOW_THRESHOLD = "below_threshold"
    BOORU = "booru"
    RATING = "most_probable_rating"
    RENAMED_AS_ASKED = "renamed_as_asked"
    ALIAS = "alias"
    BLACKLISTED = "blacklisted"
    CATEGORY_EXCLUDED = "category_excluded"
    QUALITY = "quality_flag"
    IMPLIED = "implied"
    GENERAL = "general_kept"
    CORE = "core"
    CORE_KEPT = "core_kept"
    CORE_CROWD = "core_crowd"
    COLOUR_OF_CORE = "colour_of_core"
    JOINED = "joined"
    SAID_BY_TRIGGER = "said_by_trigger"
    FOLDER_TAG = "folder_tag"
    FORMAT = "format"
    FORMAT_WORD = "format_word"
    TAG_LIMIT = "tag_limit"
    TOKEN_LIMIT = "token_limit"
    CONFLICT_FIXED = "conflict_fixed"
    MANUAL = "manual"
    USER_ADDED = "user_added"
    USER_REMOVED = "user_removed"
    USER_REPLACED = "user_replaced"
    USER_RESTORED = "user_restored"
    AS_RECORDED = "as_recorded"
    """A sentence of an older prep that none of these stands for, kept in the data."""


class ImpliedBy(StrEnum):
    """What says that one tag implies another."""

    RULES = "rules"
    BOARD = "board"
    OURS = "ours"
    NAME = "name"
    SCORES = "scores"


class TagCause(NamedTuple):
    """Why something became of a tag, with what it is about."""

    reason: TagReason
    data: Data = NOTHING


BY_USER = frozenset((TagReason.USER_ADDED, TagReason.USER_REMOVED, TagReason.USER_REPLACED))
"""The reasons of manual edits."""


def _figures(score: float, threshold: float, holds: bool) -> str:
    """`0.90 ≥ 0.35`: probability and threshold as people read them; rounded, they cannot tell which is larger."""
    return f"{score:.2f} {'≥' if holds else '<'} {threshold:.2f}"


def _booru(data: Data) -> str:
    return "tagged on an image board" + (f" (tagger {data['score']:.2f})" if "score" in data else "")


def _above(data: Data) -> str:
    return _scores(data, True)


def _below(data: Data) -> str:
    return f"below its threshold: {_scores(data, False)}"


def _scores(data: Data, chosen: bool) -> str:
    if "votes" not in data:
        return _figures(data["score"], data["threshold"], chosen)
    votes = ", ".join(f"{name} {_figures(*vote)}" for name, *vote in data["votes"])
    return f"mean {_figures(data['score'], data['threshold'], chosen)} of {votes}" if data.get("mean") else votes


def core_figures(data: Data) -> str:
    """In how many images of the trigger word alone and of others a trait is seen, or that it was asked for."""
    if "images" not in data:
        return "as asked"
    rest = f"{data['elsewhere']} of {data['others']} others" if data["others"] else "no other images to compare"
    return f"in {data['shown']} of {data['images']} images, {rest}"


def contradiction_figures(data: Data) -> str:
    """What shows a contradiction, of its JSON: the tags' probabilities, and how many images say otherwise."""
    rival, dominant = data["rival"], data["dominant"]
    if data["fix"] == "drop":
        return f"{rival} {data['score']:.2f} beside {dominant} {data['dominant_score']:.2f}"
    here = "not seen here" if data["dominant_score"] is None else f"here {data['dominant_score']:.2f}"
    others = f"{dominant} in {data['images']} of {data['total']} images of {data['subject']}, {here}"
    return f"{rival} {data['score']:.2f}; {others}" if rival else others


def _fixed(data: Data) -> str:
    return f"fixed {data['attribute']}: {contradiction_figures(data)}"


def _core(data: Data) -> str:
    return f"core of {data['trigger']}: {core_figures(data)}"


def _core_kept(data: Data) -> str:
    return f"core of {data['trigger']}, kept as asked: {core_figures(data)}"


_IMPLIED_BY = {
    ImpliedBy.RULES: "your rules",
    ImpliedBy.OURS: "prep's own table",
    ImpliedBy.NAME: "its last words",
    ImpliedBy.SCORES: "this set's scores",
}


def _steps(data: Data) -> str:
    """`sports bikini → bikini → swimsuit (its last words, Danbooru)`: what leads from a tag to one that it implies."""
    steps = [(tag, ImpliedBy(rule)) for tag, rule in data.get("steps", ())]
    rules = dict.fromkeys(str(_IMPLIED_BY.get(rule, data.get("board"))) for _, rule in steps)
    return f"{' → '.join([data['by'], *(tag for tag, _ in steps)])} ({', '.join(rules)})" if steps else ""


def _limit(unit: str) -> str:
    return f"beyond the limit of {{limit}} {unit}"


T = TagReason
WORDS: Table = {
    T.TRIGGER: Words("trigger word"),
    T.KEEP_SEPARATOR: Words("keep separator"),
    T.ABOVE_THRESHOLD: Words(_above, "", "reached its threshold"),
    T.BOORU: Words(_booru, "", "tagged on an image board"),
    T.BELOW_THRESHOLD: Words(_below, "", "below its threshold"),
    T.RATING: Words("the most probable rating"),
    T.RENAMED_AS_ASKED: Words("rename", "", "renamed as asked"),
    T.ALIAS: Words("another name of it"),
    T.BLACKLISTED: Words(
        lambda data: f"blacklist: {data['pattern']}" if "pattern" in data else "blacklist", "", "blacklist"
    ),
    T.CATEGORY_EXCLUDED: Words("{category} tags are excluded", "", "categories are excluded"),
    T.QUALITY: Words("quality flag: {flag}", "", "quality flag"),
    T.IMPLIED: Words("implied by {by}", _steps, "implied by another tag"),
    T.GENERAL: Words("only the general tag is kept, as asked"),
    T.CORE: Words(_core, "", "core of its trigger word"),
    T.CORE_KEPT: Words(_core_kept, "", "core of its trigger word, kept as asked"),
    T.CORE_CROWD: Words(
        "core of {trigger}, but there are {people} persons",
        "",
        "core of its trigger word, but there are several persons",
    ),
    T.COLOUR_OF_CORE: Words(
        "the colour of {thing}, which its trigger word says", "", "colour of what a trigger word says"
    ),
    T.JOINED: Words(lambda data: " + ".join(data["parts"]), "", "joined with another"),
    T.SAID_BY_TRIGGER: Words("the trigger word says it"),
    T.FOLDER_TAG: Words("given by the folder"),
    T.FORMAT: Words("as the format {format} has it", "", "as the format has it"),
    T.FORMAT_WORD: Words("{group} of the format", "", "word of the format"),
    T.TAG_LIMIT: Words(_limit("tags"), "", "beyond the limit of tags"),
    T.TOKEN_LIMIT: Words(_limit("tokens"), "", "beyond the limit of tokens"),
    T.CONFLICT_FIXED: Words(_fixed, "", "fixed conflict"),
    T.MANUAL: Words("manual caption"),
    T.USER_ADDED: Words("added by you"),
    T.USER_REMOVED: Words("removed by you"),
    T.USER_REPLACED: Words("replaced by you"),
    T.USER_RESTORED: Words("restored by you"),
}


RULES: Mapping[Reason, str] = {
    T.CORE: "core of {trigger}",
    T.CORE_KEPT: "core of {trigger}, kept as asked",
    T.CORE_CROWD: "core of {trigger}, but there are several persons",
    T.CONFLICT_FIXED: "fixed {attribute}",
    T.ABOVE_THRESHOLD: "reached its threshold",
    T.BOORU: "tagged on an image board",
    T.BELOW_THRESHOLD: "below its threshold",
    T.IMPLIED: "implied by another tag",
    T.COLOUR_OF_CORE: "the colour of what a trigger word says",
    T.JOINED: "joined with another",
    T.RENAMED_AS_ASKED: "renamed as asked",
    T.FORMAT: "as the format has it",
    T.FORMAT_WORD: "word of the format",
}
"""Reasons whose words hold figures or other tags → the rule alone."""


def tag_words(data: Data, words: str) -> str:
    """The words of a tag's reason, with what it became or came from before them."""
    if "to" in data:
        return f"to {data['to']}: {words}"
    return f"from {data['from']}: {words}" if "from" in data else words
