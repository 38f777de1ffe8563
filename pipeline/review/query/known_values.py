"""The values that a key of a question can have in a set, for slips to be named and questions to be completed."""

from __future__ import annotations

from pipeline.review.query.terms import FIXED
from pipeline.review.snapshot.snapshot import Snapshot


def known_values(key: str, snapshot: Snapshot) -> list[str] | None:
    """All values of a key, None where any text is one."""
    if key in FIXED:
        return list(FIXED[key])
    if key == "tag":
        return list(snapshot.tags.names.values())
    if key == "concept":
        return sorted({above for concept in set(snapshot.concepts) for above in _with_those_above(concept)})
    if key == "flag":
        return ["any", "contradiction", *sorted({flag for flags in snapshot.flags for flag in flags})]
    if key == "reason":
        return sorted({row.reason.value for row in snapshot.verdicts if row is not None})
    if key == "lacks":
        return list(snapshot.lacks)
    if key == "group":
        return ["any", *(str(number) for number in range(int(snapshot.groups.max(initial=-1)) + 1))]
    return None


def _with_those_above(concept: str) -> list[str]:
    parts = concept.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
