"""How often a person's folders say their images are to be shown: kohya's `24_name`, EveryDream's `multiply.txt`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.filenames import concept_of, without_repeats
from pipeline.sources.beside.metadata_files import MOST_REPEATS, Described, positive
from pipeline.sources.source_file import IMAGE, NUMBER, Found, cut
from pipeline.store.reasons.placement import PlacementReason as P
from pipeline.store.reasons.placement import RepeatsSource
from pipeline.store.reasons.reason import Cause
from pipeline.store.records import Decision, Image

_LARGEST = 1024


@dataclass(frozen=True, slots=True)
class UserRepeats:
    """How often images are to be shown, by whose word."""

    value: float
    cause: Cause


@dataclass(slots=True)
class Folders:
    """What the names and the numbers of folders say; a folder is a path as in `Found.folder`."""

    concepts: dict[str, str] = field(default_factory=dict)
    """Folders whose name begins with repeats → their concept without them."""
    user_repeats: dict[str, UserRepeats] = field(default_factory=dict)
    zero: list[str] = field(default_factory=list)
    """Names of folders that say 0 repeats."""
    rows: list[tuple[str, Cause]] = field(default_factory=list)
    """(path, what became of it) for every multiply.txt."""


def folders(found: Iterable[Found], repeats_in_names: bool) -> Folders:
    """Read the names of leaf folders and every multiply.txt, whose word goes before the name's."""
    concepts: dict[str, str] = {}
    numbers: list[Found] = []
    for each in found:
        if each.kind == IMAGE and not each.problem:
            concepts.setdefault(each.folder, each.concept)
        elif each.kind == NUMBER and not each.problem:
            numbers.append(each)
    result = Folders()
    if repeats_in_names:
        _read_names(result, concepts)
    for each in numbers:
        _read_number(result, each, concepts)
    return result


def _read_names(result: Folders, concepts: dict[str, str]) -> None:
    inner = _inner(concepts)
    for folder, concept in concepts.items():
        above, _, name = concept.rpartition("/")
        numbered = without_repeats(name) if folder not in inner else None
        if numbered is None:
            continue
        repeats, rest = numbered
        if repeats > MOST_REPEATS:
            result.rows.append((folder, Cause(P.REPEATS_TOO_LARGE, {"name": name})))
            continue
        result.concepts[folder] = "/".join(filter(None, (above, concept_of(rest))))
        if repeats:
            result.user_repeats[folder] = UserRepeats(
                float(repeats), Cause(RepeatsSource.FOLDER_NAME, {"folder": name})
            )
        else:
            result.zero.append(name)


def _inner(holding: Iterable[str]) -> set[str]:
    """Every folder that lies above one that holds images."""
    inner: set[str] = set()
    for folder in holding:
        above = cut(folder)[0]
        while above not in inner:
            inner.add(above)
            above = cut(above)[0]
    return inner


def _read_number(result: Folders, found: Found, concepts: dict[str, str]) -> None:
    named = result.user_repeats.pop(found.folder, None)
    try:
        text = Path(found.place).read_bytes()[:_LARGEST].decode("utf-8-sig").strip() if found.bytes else ""
    except (UnicodeDecodeError, OSError) as error:
        text = str(error)
    value = positive(text)
    if value is None:
        result.rows.append((found.path, Cause(P.MULTIPLY_NO_NUMBER, {"text": text[:80]})))
        return
    if found.folder not in concepts:
        result.rows.append((found.path, Cause(P.MULTIPLY_WITHOUT_IMAGES, {"text": text})))
        return
    data = {"value": value} | ({"instead_of": named.cause} if named else {})
    result.user_repeats[found.folder] = UserRepeats(value, Cause(RepeatsSource.MULTIPLY_FILE, data))
    result.rows.append((found.path, Cause(P.MULTIPLY_READ, {"text": text})))


def repeats_rows(
    placed: Mapping[str, Image],
    images: Mapping[str, Found],
    folders: Folders,
    described: Mapping[str, Described],
    before: Mapping[str, Decision],
) -> Iterator[Decision]:
    """How often the person's folders and tables say each image is to be shown.

    Args:
        placed: source → the image in the set.
        images: source → its file; images whose source is gone are not in it, and keep what was decided `before`.
        described: source → what data files say of it, which goes before its folder.
    """
    for source, image in placed.items():
        found = images.get(source)
        row = described.get(source)
        by_folder = folders.user_repeats.get(found.folder) if found else None
        if row is not None and row.repeats is not None:
            over = {"instead_of": by_folder.cause} if by_folder else {}
            by_folder = UserRepeats(row.repeats, Cause(RepeatsSource.METADATA, {"where": row.where, **over}))
        if by_folder is not None:
            yield Decision(image.path, "user_repeats", by_folder.value, *by_folder.cause)
        elif found is None and image.path in before:
            yield before[image.path]
