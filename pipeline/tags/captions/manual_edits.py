"""A person's own edits of tags, made on what curation decides: they hold whatever later scores and rules say.

An edit is ("add", tag), ("remove", tag) or ("replace", tag, another); an image's edits are a list of them, carried out in order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from pipeline.store.reasons.tags import BY_USER, TagReason
from pipeline.store.values.tags import TagAction, TagDecision

ADD, REMOVE, REPLACE = "add", "remove", "replace"
Edit = tuple[str, ...]


def apply(
    tags: Sequence[str], triggers: Iterable[str], manual: Iterable[Sequence[str]]
) -> tuple[list[str], list[TagDecision]]:
    """Carry out edits on the tags of a caption: returns the tags, and a row for every one that they changed.

    What is added stands at the end, what replaces a tag in its place. Trigger words stay as they are.
    """
    lowered = {trigger.casefold() for trigger in triggers}
    left = list(tags)
    became: dict[str, str] = {}
    came_from: dict[str, str] = {}
    for what, tag, *others in manual:
        if what == ADD and tag not in left and tag.casefold() not in lowered:
            left.append(tag)
            came_from.pop(tag, None)
        elif what in (REMOVE, REPLACE) and tag in left and tag.casefold() not in lowered and others != [tag]:
            new = others[0] if others else ""
            place = left.index(tag)
            became[tag] = new
            if new and new not in left and new.casefold() not in lowered:
                left[place] = new
                came_from[new] = came_from.get(tag, tag)
            else:
                del left[place]
    before, after = set(tags), set(left)
    gone = [_gone(tag, became, after) for tag in tags if tag not in after]
    come = [_come(tag, came_from.get(tag, "")) for tag in left if tag not in before]
    return left, [*come, *gone]


def _gone(tag: str, became: Mapping[str, str], left: Collection[str]) -> TagDecision:
    """The row of a tag that is not in the caption any more; what it became may have been edited again."""
    new, passed = became[tag], {tag}
    while new and new not in left and new in became and new not in passed:
        passed.add(new)
        new = became[new]
    if new in left:
        return TagDecision(tag, TagAction.RENAMED, TagReason.USER_REPLACED, {"to": new})
    return TagDecision(tag, TagAction.DROPPED, TagReason.USER_REMOVED)


def _come(tag: str, old: str) -> TagDecision:
    if old:
        return TagDecision(tag, TagAction.ADDED, TagReason.USER_REPLACED, {"from": old})
    return TagDecision(tag, TagAction.ADDED, TagReason.USER_ADDED)


def with_manual_edits(
    order: Sequence[str], rows: Iterable[TagDecision], triggers: Iterable[str], manual: Collection[Sequence[str]]
) -> tuple[tuple[str, ...], tuple[TagDecision, ...]]:
    """A caption's tags in order and the rows of all tags, laid out by it, with the edits carried out on both."""
    if not manual:
        return tuple(order), tuple(rows)
    tags, own = apply(order, triggers, manual)
    return tuple(tags), laid_out(tags, {row.tag: row for row in (*rows, *own)})


def laid_out(order: Iterable[str], by_tag: Mapping[str, TagDecision]) -> tuple[TagDecision, ...]:
    """Rows as curation has them: those of the caption in its order, then what was renamed, then the others, by tag."""
    first = dict.fromkeys(tag for tag in order if tag in by_tag)
    rest = sorted(by_tag.keys() - first.keys(), key=lambda tag: (by_tag[tag].action != TagAction.RENAMED, tag))
    return tuple(by_tag[tag] for tag in (*first, *rest))


def given(rows: Iterable[TagDecision]) -> list[str]:
    """The tags that a caption would have without edits, as far as its rows tell: what a person took out is in it."""
    return [row.tag for row in rows if row.in_caption != by_user(row)]


def by_user(row: TagDecision) -> bool:
    """Whether a row is one of `apply`."""
    return row.reason in BY_USER


def amended(
    manual: Sequence[Sequence[str]], edit: Edit, tags: Sequence[str], triggers: Iterable[str] = ()
) -> list[Edit]:
    """The edits with one more, as short as it can be: a tag that was removed and is added again is not edited.

    The caption comes out with the same tags as if the edit were put at the end.

    Args:
        tags: what the caption would have without any edit (`given`).
    """
    triggers = tuple(triggers)
    held: list[Edit] = [tuple(each) for each in manual]
    wanted = set(apply(tags, triggers, [*held, edit])[0])
    short = _merged(held, edit)
    later = [*(each for each in short if each != edit), edit]
    if held and held[-1] == edit:
        return held
    for candidate in (short, later) if short != held or edit in held else (later,):
        if set(apply(tags, triggers, candidate)[0]) == wanted:
            return candidate
    if edit in held and set(apply(tags, triggers, held)[0]) == wanted:
        return held
    return [*held, edit]


def _merged(held: Iterable[Edit], edit: Edit) -> list[Edit]:
    """The edits that are left when another one takes some of them back or goes on where they ended."""
    what, tag = edit[:2]
    found: list[Edit] = []
    for each in held:
        if {what, each[0]} == {ADD, REMOVE} and each[1] == tag:
            continue
        if what == REMOVE and each[0] == REPLACE and each[2] == tag:
            each = (REMOVE, each[1])
        elif what == REPLACE and each == (ADD, tag):
            each = (ADD, edit[2])
        elif what == REPLACE and each[0] == REPLACE and each[2] == tag:
            each = (REPLACE, each[1], edit[2])
            if each[1] == each[2]:
                continue
        found.append(each)
    return list(dict.fromkeys(found))
