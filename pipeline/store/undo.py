"""Take back what a run did: rows, images, captions and files as they were. An undo is itself a run, and can be undone."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

from pipeline.core.errors import PrepError
from pipeline.store import undo_log
from pipeline.store.caption_files import EDITS, FILE, put_files
from pipeline.store.manifest import Manifest
from pipeline.store.records import Run

NAME = "undo"
PUT_BACK = "put back"


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
        undo_log.close(manifest, run.id)
    left = _refuse_conflicts(manifest, run)
    texts = _texts(manifest, run, left)
    by = _begin(manifest, run)
    files = _restore_files(manifest, run, by)
    put_files(manifest, by, texts, PUT_BACK)
    _remove_empty(manifest, by)
    with manifest.transaction():
        rows = _restore_rows(manifest, run, by, left)
        images = _restore_images(manifest, run, by)
        undo_log.settle(manifest, by)
        _mark(manifest, run, by)
        counts = {"rows": rows, "images": images, "caption files": len(texts), "other files": files}
        manifest.finish_run(by, {key: number for key, number in counts.items() if number})
    return Undone(run, by, rows, images, len(texts), files, tuple(sorted(left)))


_ROWS_SINCE = f"""SELECT h.path, h.field, l.run FROM history h
    JOIN history l ON l.path=h.path AND l.field=h.field AND l.run>h.run
    LEFT JOIN decisions d ON d.path=h.path AND d.field=h.field
    WHERE h.run=? AND (h.field='{FILE}' OR d.value IS NOT h.after OR d.reason IS NOT h.after_reason
        OR d.evidence IS NOT h.after_evidence)"""
_IMAGES_SINCE = """SELECT h.path, 'images', l.run FROM image_history h
    JOIN image_history l ON l.path=h.path AND l.run>h.run WHERE h.run=?"""
_USED_SINCE = f"""SELECT h.path, l.field, l.run FROM image_history h
    JOIN history l ON l.path=h.path AND l.field='{FILE}' AND l.run>h.run WHERE h.run=? AND h.before IS NULL"""


def _changed_since(manifest: Manifest, run: Run) -> dict[tuple[str, str], set[int]]:
    """(path, field) that later runs, not undone, changed or built on → those runs."""
    holding = {each.id for each in manifest.runs() if each.undone is None and each.stage != NAME}
    found: dict[tuple[str, str], set[int]] = {}
    for query in (_ROWS_SINCE, _IMAGES_SINCE, _USED_SINCE):
        for path, field, later in manifest.db.execute(query, (run.id,)):
            if later in holding:
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
        for path, before in manifest.db.execute("SELECT path, before FROM file_history WHERE run=?", (run.id,))
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
        paths = [path for (path,) in manifest.db.execute("SELECT path FROM file_history WHERE run=?", (run.id,))]
        undo_log.announce(manifest, by, paths)
    return by


def _restore_files(manifest: Manifest, run: Run, by: int) -> int:
    """Move each file that the run made out of the set, and the one it replaced back; both moves are done once.

    What is moved out lies with the undo, for it to be undone; and with the run itself again where that is brought back.
    """
    query = (
        "SELECT r.path, r.before, u.before FROM file_history r JOIN file_history u ON u.path=r.path AND u.run=? "
        "WHERE r.run=? ORDER BY r.path"
    )
    rows = manifest.db.execute(query, (by, run.id)).fetchall()
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
    paths = manifest.db.execute("SELECT path FROM file_history WHERE run=?", (by,))
    for folder in {(manifest.root / path).parent for (path,) in paths}:
        while folder != manifest.root:
            try:
                folder.rmdir()
            except OSError:
                break
            folder = folder.parent


def _texts(manifest: Manifest, run: Run, left: set[str]) -> list[tuple[str, str | None, str | None]]:
    """(image, what its caption file holds, what it held before the run) where that is not so already."""
    first: dict[str, str | None] = {}
    query = "SELECT path, before FROM history WHERE run=? AND field=? ORDER BY rowid"
    for path, before in manifest.db.execute(query, (run.id, FILE)):
        first.setdefault(path, None if before is None else json.loads(before))
    written = manifest.written()
    return [
        (path, written.get(path), before)
        for path, before in first.items()
        if path not in left and written.get(path) != before
    ]


def _restore_rows(manifest: Manifest, run: Run, by: int, left: set[str]) -> int:
    query = f"SELECT path, field, before, before_reason, before_evidence FROM history WHERE run=? AND field<>'{FILE}'"
    rows = [
        row for row in manifest.db.execute(query, (run.id,)) if not (row[0] in left and row[1] in ("caption", "human"))
    ]
    return manifest.put_back(by, rows)


def _restore_images(manifest: Manifest, run: Run, by: int) -> int:
    """Put back the rows of the table of images."""
    rows = manifest.db.execute("SELECT path, before, after FROM image_history WHERE run=?", (run.id,)).fetchall()
    manifest.db.executemany("DELETE FROM images WHERE path=?", ((path,) for path, _, _ in rows))
    manifest.db.executemany(
        "INSERT INTO images VALUES (?,?,?,?,?,?)", (json.loads(before) for _, before, _ in rows if before is not None)
    )
    manifest.db.executemany(
        "INSERT INTO image_history VALUES (?,?,?,?)", ((by, path, after, before) for path, before, after in rows)
    )
    return len(rows)


def _mark(manifest: Manifest, run: Run, by: int) -> None:
    """The run is undone; if it was itself an undo, the run that it undid holds again."""
    manifest.db.execute("UPDATE runs SET undone=? WHERE id=?", (by, run.id))
    if run.stage == NAME:
        manifest.db.execute("UPDATE runs SET undone=NULL WHERE undone=?", (run.id,))
