"""What people gave a copy that is dropped goes to the image that is kept instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from pipeline.store.manifest import Manifest
from pipeline.store.reasons.check import DUPLICATES

Value = TypeVar("Value")


def heirs(manifest: Manifest) -> dict[str, tuple[str, ...]]:
    """Kept image → its copies that were dropped, by path; a copy of a copy goes to the one that is kept in the end."""
    keep = manifest.decisions("keep")
    found: dict[str, list[str]] = {}
    for path, row in sorted(keep.items()):
        keeper, seen = path, {path}
        while keeper in keep and keep[keeper].reason in DUPLICATES:
            keeper = str(keep[keeper].data["of"])
            if keeper in seen:
                break
            seen.add(keeper)
        if keeper != path and row.reason in DUPLICATES and keeper in keep and keep[keeper].value:
            found.setdefault(keeper, []).append(path)
    return {keeper: tuple(copies) for keeper, copies in found.items()}


@dataclass(frozen=True, slots=True)
class Inherited(Generic[Value]):
    """`values` are what kept images get of a copy, with the copy's path; `refused` are (kept image, copy) where a copy says
    something else than what holds."""

    values: Mapping[str, tuple[Value, str]]
    refused: tuple[tuple[str, str], ...]


def inherited(
    copies: Mapping[str, tuple[str, ...]], given: Mapping[str, Value], alike: Callable[[Value, Value], bool]
) -> Inherited[Value]:
    """What every kept image gets: its own where there is one, else that of its first copy that has one.

    Args:
        copies: as `heirs` gives them.
        given: image → what a person gave it.
        alike: whether two say the same.
    """
    values: dict[str, tuple[Value, str]] = {}
    refused = list[tuple[str, str]]()
    for keeper, dropped in copies.items():
        holds, own = given.get(keeper), keeper in given
        for copy in dropped:
            if copy not in given:
                continue
            if not own and keeper not in values:
                values[keeper] = (given[copy], copy)
                holds = given[copy]
            elif holds is not None and not alike(holds, given[copy]):
                refused.append((keeper, copy))
    return Inherited(values, tuple(refused))


def words_on(what: str, found: Inherited[Value]) -> Iterator[str]:
    """What a person should know of what went to kept images, and of what did not."""
    if found.values:
        keeper, (_, copy) = next(iter(found.values.items()))
        yield f"{what} of dropped copies, now of the image that is kept: {len(found.values)}, such as {keeper} from {copy}"
    if found.refused:
        keeper, copy = found.refused[0]
        yield (
            f"{what} of dropped copies that differ from the kept image's and are not used: {len(found.refused)}, such as "
            f"{copy} beside {keeper}; to use one, give it to the kept image"
        )
