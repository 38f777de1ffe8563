"""What became of tags, and what contradicted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.store.migrations.to_4.sentences.parse import Coded, Sentence, as_recorded

_PLAIN = {
    "trigger word": "trigger_word",
    "keep separator": "keep_separator",
    "the most probable rating": "most_probable_rating",
    "rename": "renamed_as_asked",
    "another name of it": "alias",
    "blacklist": "blacklisted",
    "the trigger word says it": "said_by_trigger",
    "given by the folder": "folder_tag",
    "written by a person": "manual",
    "added by you": "user_added",
    "removed by you": "user_removed",
    "replaced by you": "user_replaced",
    "put back by you": "user_restored",
}
_COUNTS = dict.fromkeys(("shown", "images", "elsewhere", "others", "people", "limit"), int)
_CORE = (
    r"(?:as asked|in (?P<shown>\d+) of (?P<images>\d+) pictures, "
    r"(?:(?P<elsewhere>\d+) of (?P<others>\d+) others|no other pictures to compare))"
)
_PATTERNS = (
    Sentence("core_kept", rf"core of (?P<trigger>.+?), kept as asked: {_CORE}", _COUNTS),
    Sentence("core_crowd", r"core of (?P<trigger>.+), but there are (?P<people>\d+) persons", _COUNTS),
    Sentence("core", rf"core of (?P<trigger>.+?): {_CORE}", _COUNTS),
    Sentence("tag_limit", r"beyond the limit of (?P<limit>\d+) tags", _COUNTS),
    Sentence("token_limit", r"beyond the limit of (?P<limit>\d+) tokens", _COUNTS),
    Sentence("quality_flag", "quality flag: (?P<flag>.+)"),
    Sentence("category_excluded", r"(?P<category>\w+) tags are left out"),
    Sentence("blacklisted", "blacklist: (?P<pattern>.+)"),
    Sentence("implied", "(?P<by>.+) says more"),
)
_MENDED = re.compile(r"mended (?P<attribute>[\w ]+?): (?P<figures>.+)", re.DOTALL)
_MOVED = re.compile(
    r"(?P<way>to|from) (?P<tag>.+?): (?P<why>rename|another name of it|replaced by you|mended [\w ]+: .+|[^:]+ \+ [^:]+)",
    re.DOTALL,
)
_SCORE = r"(?P<score>[\d.]+) (?P<sign>[≥<]) (?P<threshold>[\d.]+)"
_VOTE = re.compile(rf"(?P<name>.+?) {_SCORE}(?:, |$)")
_FIGURES = re.compile(
    r"(?:(?P<rival>.+?) (?P<score>[\d.]+); )?(?P<dominant>.+?) in (?P<images>\d+) of (?P<total>\d+) pictures of "
    r"(?P<subject>.+?), (?:here (?P<dominant_score>[\d.]+)|not seen here)",
    re.DOTALL,
)
_BESIDE = re.compile(r"(?P<rival>.+?) (?P<score>[\d.]+) beside (?P<dominant>.+?) (?P<dominant_score>[\d.]+)", re.DOTALL)


def tag(action: str, sentence: str) -> Coded:
    """Why something became of a tag; of one that was renamed or came of another with that one."""
    moved = _MOVED.fullmatch(sentence) if action in ("renamed", "added") else None
    if moved is not None:
        why = _reason(moved["why"])
        return Coded(why.code, {moved["way"]: moved["tag"], **why.data})
    return _reason(sentence)


def _reason(sentence: str) -> Coded:
    if sentence in _PLAIN:
        return Coded(_PLAIN[sentence], {})
    fixed = _MENDED.fullmatch(sentence)
    if fixed is not None:
        found = figures_of(fixed["figures"])
        data = {"attribute": fixed["attribute"], **found} if found else None
        return as_recorded(sentence, "") if data is None else Coded("conflict_fixed", data)
    scored = _scored(sentence)
    if scored is not None:
        return scored
    for pattern in _PATTERNS:
        read = pattern.read(sentence)
        if read is not None:
            others = {"elsewhere": 0, "others": 0} if "shown" in read.data and "others" not in read.data else {}
            return Coded(read.code, {**read.data, **others})
    parts = sentence.split(" + ")
    return Coded("joined", {"parts": parts}) if len(parts) == 2 else as_recorded(sentence, "")


def _scored(sentence: str) -> Coded | None:
    """`0.90 ≥ 0.35`, the same by several taggers, or the mean of theirs."""
    text = sentence.removeprefix("below its threshold: ")
    code = "above_threshold" if text == sentence else "below_threshold"
    alone = re.fullmatch(_SCORE, text)
    if alone is not None:
        return Coded(code, _numbers(alone))
    mean = re.fullmatch(rf"mean {_SCORE} of (?P<votes>.+)", text, re.DOTALL)
    votes = _votes(mean["votes"] if mean is not None else text)
    if votes is None:
        return None
    return Coded(code, {"votes": votes} | ({"mean": True, **_numbers(mean)} if mean is not None else {}))


def _numbers(found: re.Match[str]) -> dict[str, float]:
    return {"score": float(found["score"]), "threshold": float(found["threshold"])}


def _votes(text: str) -> list[list[Any]] | None:
    found, at = [], 0
    while at < len(text):
        vote = _VOTE.match(text, at)
        if vote is None:
            return None
        found.append([vote["name"], *_numbers(vote).values(), vote["sign"] == "≥"])
        at = vote.end()
    return found or None


def figures_of(text: str) -> dict[str, Any] | None:
    """What a contradiction's figures say of it, without its attribute."""
    beside, against = _BESIDE.fullmatch(text), _FIGURES.fullmatch(text)
    if beside is not None and against is None:
        scores = {"score": float(beside["score"]), "dominant_score": float(beside["dominant_score"])}
        names = {"dominant": beside["dominant"], "rival": beside["rival"]}
        return {**names, **scores, "fix": "drop", "subject": "", "images": 0, "total": 0}
    if against is None:
        return None
    score, own = against["score"], against["dominant_score"]
    fix = "replace" if against["rival"] else "look" if own is None else "add"
    return {
        "dominant": against["dominant"],
        "rival": against["rival"] or "",
        "score": None if score is None else float(score),
        "dominant_score": None if own is None else float(own),
        "fix": fix,
        "subject": against["subject"],
        "images": int(against["images"]),
        "total": int(against["total"]),
    }


def contradictions(value: Sequence[Mapping[str, Any]], figures: str) -> list[dict[str, Any]]:
    """The contradictions of an image; the figures say how many images of whom fill the attribute otherwise."""
    return [_contradiction(old, figures) for old in value]


def _contradiction(old: Mapping[str, Any], figures: str) -> dict[str, Any]:
    dominant = re.escape(old["dominant"])
    counted = re.search(
        rf"{dominant} in (\d+) of (\d+) pictures of (.+?), (?:here [\d.]+|not seen here)(?:; |$)", figures
    )
    counts = {"subject": "", "images": 0, "total": 0}
    if counted is not None and old["fix"] != "drop":
        counts = {"subject": counted[3], "images": int(counted[1]), "total": int(counted[2])}
    names = ("dominant", "rival", "score", "dominant_score", "fix")
    return {"attribute": old["slot"], **{name: old[name] for name in names}, **counts, "fixed": old["mended"]}
