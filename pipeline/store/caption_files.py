"""Captions on disk: what a person wrote there is imported, what prep decided is put there, and neither is lost.

Beside every image of the set lies `<name>.txt`. The manifest remembers what each held when prep last wrote or read it,
so that any other text is known to be a person's. A file that is not UTF-8 is reported and never rewritten.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.caption_text import read_caption_text
from pipeline.core.files import write_text
from pipeline.core.text_diff import tags_changed
from pipeline.store.image_files import EDITS
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.captions import CaptionReason, FileEvent, Origin
from pipeline.store.reasons.reason import Data
from pipeline.store.records import Decision
from pipeline.store.tables.caption_rows import Known, Stamp
from pipeline.store.tables.rows import dump

_SETTLED_NS = 2_000_000_000
"""A file changed less than this before it was read may change again without another time stamp."""
_BATCH = 1000


def captions(manifest: Manifest) -> dict[str, str]:
    """Path → the caption that holds now: what was decided, which a person's caption is too; else what a person wrote."""
    found = {path: plain(text) for path, text in manifest.manual_captions().items()}
    return found | {path: row.value for path, row in manifest.decisions("caption").items()}


def plain(text: str) -> str:
    """A caption file's text as the caption that is meant (`read_caption_text`)."""
    return read_caption_text(text).text


def caption_file(root: Path, path: str) -> Path:
    """The caption file of an image of the set."""
    return (root / path).with_suffix(".txt")


@dataclass(slots=True)
class _Edits:
    """What was found changed on disk since the last look."""

    rows: list[Decision] = field(default_factory=list)
    gone: list[tuple[str, str]] = field(default_factory=list)
    texts: list[tuple[str, str | None, str | None, FileEvent]] = field(default_factory=list)
    """(path, what the file held, what it holds, what happened)"""
    stamps: list[Stamp] = field(default_factory=list)


def take_in(manifest: Manifest) -> dict[str, int]:
    """Import captions that a person wrote, changed or deleted since the last time; returns what happened how often.

    Files whose size and time are as they were are not read.
    """
    edits = _look(manifest)
    if not (edits.rows or edits.gone or edits.texts or edits.stamps):
        return {}
    counts: dict[str, int] = {}
    for row in edits.rows:
        if row.field == "manual_caption":
            counts[row.reason] = counts.get(row.reason, 0) + 1
    for _, _, _, what in edits.texts:
        if what == FileEvent.DELETED:
            counts[what] = counts.get(what, 0) + 1
    with manifest.transaction():
        if edits.rows or edits.gone:
            run = manifest.begin_run(EDITS, {})
            manifest.put_rows(run, edits.rows, edits.gone)
            manifest.finish_run(run, counts)
            _note(manifest, run, edits.texts)
        else:
            _note(manifest, 0, edits.texts)
        manifest.caption_rows.put(edits.stamps, [path for path, _, now, _ in edits.texts if now is None])
    return counts


def _note(manifest: Manifest, run: int, texts: list[tuple[str, str | None, str | None, FileEvent]]) -> None:
    """Note what files held and hold; a file that prep wrote before it was killed belongs to the run that decided it."""
    rows = []
    for path, before, now, what in texts:
        by = run
        if what in (FileEvent.WRITTEN, FileEvent.CAME_WITH_IMAGE):
            by = manifest.caption_rows.decided_by(path) or run
        rows.append((by, path, before, now, what))
    manifest.caption_rows.note(rows)


def _look(manifest: Manifest) -> _Edits:
    edits = _Edits()
    stamps = manifest.caption_rows.stamps()
    odd = _odd(manifest)
    for path, file, status in _files(manifest):
        if status is None and path not in stamps and path not in odd:
            continue
        if status is not None and stamps.get(path) == (status.st_size, status.st_mtime_ns) and path not in odd:
            continue
        text = None if status is None else _text(file)
        known = manifest.caption_rows.known(path)
        if status is None:
            _deleted(edits, path, known)
        elif text is None:
            _unreadable(edits, path, known, status.st_size)
        else:
            _read(edits, path, known, text, status)
    return edits


def _odd(manifest: Manifest) -> set[str]:
    """Images whose caption file is not UTF-8."""
    return manifest.paths_where("manual_caption", None)


def _deleted(edits: _Edits, path: str, known: Known) -> None:
    if known.seen is not None:
        edits.texts.append((path, known.seen, None, FileEvent.DELETED))
    if known.manual is not None:
        edits.gone += [(path, "manual_caption"), (path, "caption")]


def _unreadable(edits: _Edits, path: str, known: Known, size: int) -> None:
    if known.manual != "null":
        edits.rows.append(Decision(path, "manual_caption", None, CaptionReason.NOT_UTF8, {"bytes": size}))
        edits.gone.append((path, "caption"))


def _read(edits: _Edits, path: str, known: Known, text: str, status: os.stat_result) -> None:
    if known.seen is None and known.intended() != text and not plain(text):
        return
    trusted = status.st_mtime_ns if time.time_ns() - status.st_mtime_ns > _SETTLED_NS else 0
    edits.stamps.append(Stamp(path, text, status.st_size, trusted))
    if known.manual == "null" and text == known.seen:
        edits.gone.append((path, "manual_caption"))
    elif known.manual is not None and known.own == dump(text):
        edits.gone += [(path, "manual_caption"), (path, "caption")]
        edits.texts.append((path, known.seen, text, FileEvent.RESTORED_BY_USER))
    elif text == known.seen:
        return
    elif text == known.intended():
        edits.texts.append(
            (path, known.seen, text, FileEvent.WRITTEN if known.manual is None else FileEvent.CAME_WITH_IMAGE)
        )
    else:
        edits.rows += manual_caption(path, text, _origin(known.seen, text))
        edits.texts.append((path, known.seen, text, FileEvent.EDITED))


def _origin(seen: str | None, text: str) -> Data:
    if seen is None:
        return {"origin": Origin.NEW_FILE}
    return {"origin": Origin.CHANGED, "changes": tags_changed(plain(seen), plain(text))}


def manual_caption(path: str, text: str, origin: Data) -> list[Decision]:
    """The decisions that a person's caption is imported by: the text as its file holds it, and the caption that holds."""
    return [
        Decision(path, "manual_caption", text, CaptionReason.MANUAL, origin),
        Decision(path, "caption", plain(text), CaptionReason.MANUAL, origin),
    ]


def _files(manifest: Manifest) -> Iterator[tuple[str, str, os.stat_result | None]]:
    """(image, its caption file, what the disk says of that) for every image; a folder is listed once."""
    folder, listed = "", dict[str, os.DirEntry[str]]()
    for path in manifest.paths():
        parent, _, name = path.rpartition("/")
        if parent != folder:
            folder, listed = parent, _listing(manifest.root / parent)
        entry = listed.get(name.rpartition(".")[0] + ".txt")
        yield path, "" if entry is None else entry.path, _status(entry)


def _listing(folder: Path) -> dict[str, os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry for entry in entries if entry.name.endswith(".txt")}
    except OSError:
        return {}


def _status(entry: os.DirEntry[str] | None) -> os.stat_result | None:
    """Size and time of a caption file; on Windows a listing may tell old ones, so the file itself is asked there."""
    if entry is None:
        return None
    try:
        return Path(entry.path).stat() if os.name == "nt" else entry.stat()
    except OSError:
        return None


def _text(file: str) -> str | None:
    """What a caption file holds; None when it is not UTF-8."""
    try:
        return Path(file).read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return None


def write_captions(manifest: Manifest, run: int) -> int:
    """Put every caption that is not on disk yet beside its image, and note what the file held before.

    Returns how many files were written. A caption file that is not UTF-8 stays as it is.
    """
    pending = manifest.caption_rows.pending()
    for what, manual in ((FileEvent.WRITTEN, False), (FileEvent.CAME_WITH_IMAGE, True)):
        texts = [(path, before, wanted) for path, before, wanted, of_a_person in pending if of_a_person == manual]
        for start in range(0, len(texts), _BATCH):
            put_files(manifest, run, texts[start : start + _BATCH], what)
    return len(pending)


def lost(manifest: Manifest) -> str:
    """Which captions are to be decided or written again, "" when none is: a person deleted one, or a run was killed."""
    undecided = set(manifest.without("caption")) - _odd(manifest)
    if undecided:
        return f"captions to decide again: {len(undecided)}"
    unwritten = len(manifest.caption_rows.pending())
    return f"caption files to write again: {unwritten}" if unwritten else ""


def put_files(
    manifest: Manifest, run: int, texts: Sequence[tuple[str, str | None, str | None]], what: FileEvent
) -> None:
    """Make caption files hold what is wanted and note it: (path, text before or None, text now or None for no file)."""
    stamps = []
    for path, _, text in texts:
        file = caption_file(manifest.root, path)
        if text is None:
            file.unlink(missing_ok=True)
            continue
        write_text(file, text)
        status = file.stat()
        stamps.append(Stamp(path, text, status.st_size, 0))
    with manifest.transaction():
        manifest.caption_rows.put(stamps, [path for path, _, now in texts if now is None])
        manifest.caption_rows.note([(run, path, before, now, what) for path, before, now in texts])
