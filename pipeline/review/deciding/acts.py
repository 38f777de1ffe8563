"""What a page has done: decisions checked against what the person saw, undone and redone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.core.errors import PrepError
from pipeline.review.deciding.choices import checked, words
from pipeline.review.deciding.recording import NAME, record, settled_of
from pipeline.review.desk import Desk
from pipeline.review.proposals.finding import one, open_proposals
from pipeline.review.proposals.proposal import Deed
from pipeline.review.server.answers import Conflict, Document, number_of
from pipeline.review.snapshot.cells import stamp
from pipeline.store.history.undo import find, undo
from pipeline.store.manifest import Manifest
from pipeline.store.wording import phrase

MOST = 100_000
EXCERPT = 160


def decide(desk: Desk, sent: Document) -> Document:
    """Write down a choice about images.

    Raises:
        PrepError: it is no choice, or it cannot be done.
        Conflict: somebody decided something else about one of the images since the person saw it.
    """
    what, value = checked(sent.get("choice"))
    numbers = sent.get("ids")
    if (
        not isinstance(numbers, list)
        or not numbers
        or len(numbers) > MOST
        or not all(type(each) is int for each in numbers)
    ):
        raise PrepError("no image is named", "select one, and decide again")
    paths = [desk.path_of(number) for number in dict.fromkeys(numbers)]
    with desk.write() as manifest:
        there = {image.path for image in manifest.images()}
        gone = [path for path in paths if path not in there]
        if gone:
            raise PrepError(f"{len(gone)} of these images are not in the set any more", "look at the list again")
        _refuse_unseen(desk, manifest, sent.get("seen"), words(what, value, 1))
        run, told = record(manifest, [Deed(tuple(paths), {what: value})])
        return _done(desk, run, told)


def _refuse_unseen(desk: Desk, manifest: Manifest, seen: object, yours: str) -> None:
    """Refuse where what was seen of an image is not what holds."""
    if not isinstance(seen, Mapping):
        return
    rows = []
    for key, before in seen.items():
        number = number_of(key)
        path = desk.path_of(number) if number is not None else ""
        now = stamp(manifest, path) if path else before
        if now != before:
            rows.append({"id": number, "path": path, "yours": yours, "theirs": _state(manifest, path), "stamp": now})
    if rows:
        raise Conflict("somebody else decided about this meanwhile", "choose what is to hold", rows)


def _state(manifest: Manifest, path: str) -> str:
    held = {row.field: row for row in manifest.decisions_of(path, ("keep", "caption"))}
    keep = phrase(held["keep"]) if "keep" in held else "not judged"
    caption = str(held["caption"].value) if "caption" in held else ""
    return f"{keep}; {caption[:EXCERPT]}" if caption else keep


def settle(desk: Desk, sent: Document) -> Document:
    """Answer proposals: with the answer of a number, or by rejecting them, which is null.

    Raises:
        PrepError: one of them is settled, or what it was about has changed; nothing is written then.
    """
    wanted, number = sent.get("proposals"), sent.get("answer")
    if not isinstance(wanted, list) or not wanted or not all(isinstance(each, dict) for each in wanted):
        raise PrepError("no proposal is named", "look at the list again")
    if not (number is None or type(number) is int):
        raise PrepError("no proposal is named", "look at the list again")
    with desk.write() as manifest:
        kinds = {str(each.get("kind")) for each in wanted}
        known = list(open_proposals(manifest, settled_of(manifest), kinds))
        found = [one(known, str(each.get("kind")), str(each.get("key")), str(each.get("about"))) for each in wanted]
        if number is not None and any(not 0 <= number < len(each.answers) for each in found):
            raise PrepError("not all of these have such an answer", "answer them one by one")
        deeds = _merged([deed for each in found if number is not None for deed in each.answers[number].deeds])
        run, told = record(manifest, deeds, [(each.about, each.kind, each.key) for each in found])
        return _done(desk, run, told)


def _merged(deeds: Sequence[Deed]) -> list[Deed]:
    """Deeds of one choice together, in the order in which they first come."""
    found: dict[str, tuple[dict[str, None], Deed]] = {}
    for deed in deeds:
        paths, _ = found.setdefault(repr(sorted(deed.choice.items())), ({}, deed))
        paths.update(dict.fromkeys(deed.paths))
    return [Deed(tuple(paths), deed.choice) for paths, deed in found.values()]


def _done(desk: Desk, run: int, told: str) -> Document:
    if run:
        desk.runs.append(run)
        desk.undone.clear()
    return {"run": run, "words": told}


def take_back(desk: Desk, sent: Document) -> Document:
    """Undo what this desk did last.

    Raises:
        PrepError: it did nothing that holds, or a later run rests on it.
    """
    with desk.write() as manifest:
        if not _drop_undone(manifest, desk.runs):
            raise PrepError(
                "there is nothing to undo on this desk", f"older runs are undone with: prep undo {desk.root}"
            )
        run = find(manifest, desk.runs[-1])
        done = undo(manifest, run)
        desk.runs.pop()
        desk.undone.append(done.by)
    return {"run": done.by, "words": f"undone: run {run.id} ({_about(run.options)})"}


def bring_back(desk: Desk, sent: Document) -> Document:
    """Do again what was undone last.

    Raises:
        PrepError: nothing was, or something else was decided since.
    """
    with desk.write() as manifest:
        if not _drop_undone(manifest, desk.undone):
            raise PrepError("there is nothing to redo", "undo something first")
        run = find(manifest, desk.undone[-1])
        again = int(run.options["run"])
        undo(manifest, run)
        desk.undone.pop()
        desk.runs.append(again)
    return {"run": again, "words": f"done again: run {again}"}


def _drop_undone(manifest: Manifest, numbers: list[int]) -> bool:
    """Leave out the newest of these runs that a command has taken back meanwhile; returns whether one is left."""
    undone = {run.id for run in manifest.runs() if run.undone is not None}
    while numbers and numbers[-1] in undone:
        numbers.pop()
    return bool(numbers)


def _about(options: Mapping[str, Any]) -> str:
    choices = options.get("choices") or []
    names = [next((key for key in each if key not in ("images", "count")), "") for each in choices]
    return ", ".join(dict.fromkeys(filter(None, names))) or NAME
