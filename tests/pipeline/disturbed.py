"""Run `prep` in a process of its own, disturbed at the n-th thing it does to the disk: killed, stopped, or out of space."""

from __future__ import annotations

import contextlib
import errno
import io
import multiprocessing
import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

WRITES = {
    "os.rename",
    "os.link",
    "os.symlink",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.truncate",
    "shutil.copyfile",
    "shutil.move",
}
HOW = ("killed", "stopped", "full")
PRELOADED = [
    "pipeline.cli.main",
    "pipeline.store.caption_files",
    "pipeline.store.history.undo",
    "pipeline.cli.commands.run",
    "pipeline.images.measurement",
    "pipeline.stages.flatten",
    "pipeline.stages.check",
    "pipeline.stages.bucket",
    "pipeline.stages.curate",
    "pipeline.stages.balance",
    "pipeline.stages.tag",
    "taggers.engine",
    "cv2",
    "pdqhash",
    "onnxruntime",
]


def run(arguments: list[str], how: str = "", at: int = 0, folder: Path | None = None) -> tuple[int, int]:
    """`prep ARGUMENTS`; returns its exit code (negative for a signal) and how many things it did to the disk, if it reported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(arguments, how, at, theirs))
    process.start()
    theirs.close()
    process.join(120)
    done = 0
    with contextlib.suppress(EOFError):
        done = ours.recv() if ours.poll() else 0
    assert process.exitcode is not None, f"{arguments} hangs"
    return process.exitcode, done


def _child(arguments: list[str], how: str, at: int, pipe: Any) -> None:
    from pipeline.cli.main import prep
    from pipeline.store import database

    done = 0

    def disturb(of_the_database: bool) -> None:
        nonlocal done
        done += 1
        if not how or done != at:
            return
        if how == "killed" or of_the_database:
            os.kill(os.getpid(), signal.SIGKILL)
        raise KeyboardInterrupt if how == "stopped" else OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def heard(event: str, args: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(args[2], int) and bool(args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        if (writes and str(args[0]) != os.devnull) or event in WRITES:
            disturb(False)

    real = database.connect

    def connect(file: Path) -> sqlite3.Connection:
        connection = real(file)
        connection.set_trace_callback(lambda statement: disturb(True))
        return connection

    database.connect = connect
    sys.addaudithook(heard)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as words:
        try:
            prep.main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
    pipe.send(done)
    if code not in (0, 1, 130):
        sys.__stderr__.write(words.getvalue())
    os._exit(code)


def contents(root: Path) -> dict[str, Any]:
    """All that a set holds, without the times and numbers of runs."""
    database = sqlite3.connect(root / "manifest.db")
    columns = {
        "images": "path, concept, source, content, bytes",
        "files": "source, content",
        "measurements": "*",
        "taggers": "id",
        "scores": "*",
        "decisions": "path, field, value, reason, evidence",
        "captions": "path, text",
    }
    found: dict[str, Any] = {
        table: sorted(database.execute(f"SELECT {what} FROM {table}"), key=repr) for table, what in columns.items()
    }
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
    for folder in ("images", "regularization", "reports"):
        for file in sorted((root / folder).rglob("*")):
            if file.is_file():
                found[file.relative_to(root).as_posix()] = file.read_bytes()
    return found
