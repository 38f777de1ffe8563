"""The desk started and stopped: a port of this machine alone, the browser opened, Ctrl-C obeyed at once."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from pipeline.core.errors import PrepError
from pipeline.review.desk import Desk
from pipeline.review.server.app import create_app
from pipeline.review.server.one_desk import alone
from pipeline.review.server.secrets import Secrets

HOST = "127.0.0.1"
AT_ONCE = 64
LONGEST_HEAD = 65_536


@dataclass(frozen=True, slots=True)
class Started:
    """What a desk that begins tells: where it is, how many images it shows, and how many of them are kept."""

    address: str
    images: int
    kept: int


def serve(root: Path, port: int, browser: bool, told: Callable[[Started], None]) -> list[int]:
    """Serve the desk of a set until Ctrl-C; returns the runs that were made on it.

    Args:
        port: 0 for any that is free.
        told: is called once the address answers.
    Raises:
        PrepError: there is no set, it has a desk already, or the port is taken.
    """
    with alone(root) as note, contextlib.closing(Desk(root)) as desk, contextlib.closing(_bound(port)) as bound:
        secrets, number = Secrets(), int(bound.getsockname()[1])
        address = f"http://{HOST}:{number}/?token={secrets.token}"
        note(address)
        snapshot = desk.snapshot()
        server = server_of(create_app(desk, secrets, number))
        with _opened(address) if browser else contextlib.nullcontext(), _stopped_by_signals(server):
            told(Started(address, len(snapshot), int(snapshot.kept.sum())))
            server.run(sockets=[bound])
        desk.end()
        return list(desk.runs)


@contextlib.contextmanager
def _stopped_by_signals(server: uvicorn.Server) -> Iterator[None]:
    """Ctrl-C and being told to end stop the server, from before it begins until after it ended."""

    def stop(number: int, frame: object) -> None:
        server.should_exit = True

    before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _bound(port: int) -> socket.socket:
    """The port is ours, and who comes waits in line, before anybody is told of it."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name != "nt":
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((HOST, port))
        bound.listen()
    except (OSError, OverflowError) as error:
        bound.close()
        raise PrepError(f"port {port} cannot be used: {error}", "leave --port out for one that is free") from error
    return bound


def server_of(app: object) -> uvicorn.Server:
    """A server that says nothing of itself, speaks plain HTTP only, and ends within a second."""
    return uvicorn.Server(
        uvicorn.Config(
            app,  # type: ignore[arg-type]
            log_config=None,
            access_log=False,
            log_level="critical",
            server_header=False,
            date_header=False,
            proxy_headers=False,
            ws="none",
            lifespan="off",
            limit_concurrency=AT_ONCE,
            h11_max_incomplete_event_size=LONGEST_HEAD,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=1,
            http="h11",
        )
    )


@contextlib.contextmanager
def _opened(address: str) -> Iterator[None]:
    """Have a browser open the address by a file that only this account reads: what a program is started with, all accounts
    of a machine can see."""
    with tempfile.TemporaryDirectory(prefix="prep-desk-", ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "open.html"
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            stream.write(f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={address}">')
        threading.Thread(target=webbrowser.open, args=(file.as_uri(),), daemon=True).start()
        yield
