"""Take back what a run did: rows, images, captions and files as they were. An undo is itself a run, and can be undone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from pipeline.core.errors import PrepError
from pipeline.store.caption_files import put_files
from pipeline.store.history import undo_log
from pipeline.store.image_files import EDITS
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.captions import FileEvent
from pipeline.store.records import Run

NAME = "undo"


@dataclass(frozen=True, slots=True)
class Undone:
    """What taking back a run came to; `left` are captions that a person wrote since, which stay."""

    run: Run
    by: int
    rows: int
    images: int
    captions: int
    files: int
    left: tuple[str, ...]


def newest(manifest: Manifest) -> Run:
    """The newest run that did something and was not undone; runs that undid others do not count.

    Raises:
        PrepError: there is none.
    """
    for run in reversed(manifest.runs()):
        if run.stage != NAME and run.undone is None and manifest.did_something(run.id):
            return run
    raise PrepError("there is nothing to undo", f"see what ran with: prep log {manifest.root}")


def find(manifest: Manifest, number: int) -> Run:
    """The run of that number.

    Raises:
        PrepError: there is none, or it was undone already.
    """
    runs = {run.id: run for run in manifest.runs()}
    if number not in runs:
        known = f"there are runs {min(runs)} to {max(runs)}" if runs else "nothing ran yet"
        raise PrepError(f"there is no run {number}", f"{known}; see: prep log {manifest.root}")
    run = runs[number]
    if run.undone is not None:
        raise PrepError(
            f"run {number} ({run.stage}) was undone by run {run.undone} already",
            f"bring it back with: prep undo {manifest.root} {run.undone}",
        )
    if run.stage == NAME and runs[run.options["run"]].stage == NAME:
        first = runs[run.options["run"]].options["run"]
        raise PrepError(
            f"run {number} brought back run {first}", f"to undo that again: prep undo {manifest.root} {first}"
        )
    return run


def since(manifest: Manifest, run: Run) -> list[Run]:
    """A run and every later one that holds, the newest first."""
    return [
        each for each in reversed(manifest.runs()) if each.id >= run.id and each.undone is None and each.stage != NAME
    ]


def undo(manifest: Manifest, run: Run) -> Undone:
    """Take back one run; killed on the way, the same call goes on.

    Raises:
        PrepError: a later run changed the same, or the files kept for it are gone.
    """
    if not run.finished and run.stage != NAME:
        undo_log.finalize(manifest, run.id)
    left = _refuse_conflicts(manifest, run)
    texts = _texts(manifest, run, left)
    by = _begin(manifest, run)
    files = _restore_files(manifest, run, by)
    put_files(manifest, by, texts, FileEvent.RESTORED)
    _remove_empty(manifest, by)
    with manifest.transaction():
        rows = _restore_rows(manifest, run, by, left)
        images = manifest.restore_images(run.id, by)
        undo_log.commit(manifest, by)
        _mark(manifest, run, by)
        counts = {"rows": rows, "images": images, "caption_files": len(texts), "other_files": files}
        manifest.finish_run(by, {key: number for key, number in counts.items() if number})
    return Undone(run, by, rows, images, len(texts), files, tuple(sorted(left)))


def _changed_since(manifest: Manifest, run: Run) -> dict[tuple[str, str], set[int]]:
    """(path, field) that later runs, not undone, changed or built on → those runs."""
    lock = {each.id for each in manifest.runs() if each.undone is None and each.stage != NAME}
    found: dict[tuple[str, str], set[int]] = {}
    for path, field, later in manifest.history.changed_since(run.id):
        if later in lock:
            found.setdefault((path, field), set()).add(later)
    return found


def _refuse_conflicts(manifest: Manifest, run: Run) -> set[str]:
    """Images whose captions a person wrote since and which are left as they are.

    Raises:
        PrepError: another run changed the same since, or a file that was replaced is not kept any more.
    """
    by: Counter[int] = Counter()
    left = set()
    stages = {each.id: each.stage for each in manifest.runs()}
    for (path, field), later in _changed_since(manifest, run).items():
        if run.stage != EDITS and all(stages[each] == EDITS for each in later) and field != "images":
            left.add(path)
        else:
            by.update(later)
    if by:
        number = max(by)
        raise PrepError(
            f"run {number} ({stages[number]}) changed {by[number]} of the same rows since",
            f"undo it first: prep undo {manifest.root} {number}; or all from there: prep undo {manifest.root} "
            f"{run.id} --since",
        )
    gone = [
        path
        for path, before, _ in manifest.history.files(run.id)
        if before != undo_log.ABSENT and not undo_log.saved(manifest.root, run.id, path).exists()
    ]
    if gone and _unfinished(manifest, run) is None:
        raise PrepError(
            f"{len(gone)} files that run {run.id} replaced are not kept any more, such as {gone[0]}",
            f"{manifest.root / undo_log.FOLDER} was emptied; run {run.id} cannot be undone",
        )
    return left


def _unfinished(manifest: Manifest, run: Run) -> Run | None:
    """The undo of this run that was killed, if there is one."""
    return next(
        (
            each
            for each in manifest.runs()
            if each.stage == NAME and not each.finished and each.options["run"] == run.id
        ),
        None,
    )


def _begin(manifest: Manifest, run: Run) -> int:
    begun = _unfinished(manifest, run)
    if begun is not None:
        return begun.id
    with manifest.transaction():
        by = manifest.begin_run(NAME, {"run": run.id, "stage": run.stage})
        undo_log.begin(manifest, by, [step.path for step in manifest.history.files(run.id)])
    return by


def _restore_files(manifest: Manifest, run: Run, by: int) -> int:
    """Move each file that the run made out of the set, and the one it replaced back; both moves are done once.

    What is moved out lies with the undo, for it to be undone; and with the run itself again where that is brought back.
    """
    rows = manifest.history.files_of_both(run.id, by)
    owner = run.options["run"] if run.stage == NAME else by
    for path, before, now in rows:
        there, kept = manifest.root / path, undo_log.saved(manifest.root, owner, path)
        if now != undo_log.ABSENT and not kept.exists() and there.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            there.replace(kept)
        old = undo_log.saved(manifest.root, run.id, path)
        if before != undo_log.ABSENT and old.exists():
            there.parent.mkdir(parents=True, exist_ok=True)
            old.replace(there)
    return len(rows)


def _remove_empty(manifest: Manifest, by: int) -> None:
    """Take away folders that held nothing but what was moved out."""
    for folder in {(manifest.root / step.path).parent for step in manifest.history.files(by)}:
        while folder != manifest.root:
            try:
                folder.rmdir()
            except OSError:
                break
            folder = folder.parent


def _texts(manifest: Manifest, run: Run, left: set[str]) -> list[tuple[str, str | None, str | None]]:
    """(image, what its caption file holds, what it held before the run) where that is not so already."""
    first, written = manifest.caption_rows.before(run.id), manifest.written()
    return [
        (path, written.get(path), before)
        for path, before in first.items()
        if path not in left and written.get(path) != before
    ]


def _restore_rows(manifest: Manifest, run: Run, by: int, left: set[str]) -> int:
    rows = manifest.history.rows_before(run.id)
    return manifest.put_back(
        by, [row for row in rows if not (row[0] in left and row[1] in ("caption", "manual_caption"))]
    )


def _mark(manifest: Manifest, run: Run, by: int) -> None:
    """The run is undone; if it was itself an undo, the run that it undid holds again."""
    manifest.mark_undone(run.id, by)
    if run.stage == NAME:
        manifest.bring_back(run.id)
