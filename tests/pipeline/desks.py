"""Sets with every stage before training done, and desks that serve them, for the tests of the desk."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from painted_sets import painted, save

from pipeline.cli.main import prep
from pipeline.review.desk import Desk
from pipeline.review.server.app import create_app
from pipeline.review.server.guard import cookie_name
from pipeline.review.server.secrets import Secrets
from pipeline.review.server.serving import server_of

HOSTILE = "<img src=x onerror=document.title='broken'>"
STAGES = ("flatten", "check", "bucket", "tag", "curate", "balance")


def decided_set(folder: Path) -> Path:
    """A set of twelve images: one is tiny, one nearly a copy of another, one has a hostile name and caption."""
    source = folder / "pictures"
    for number in range(6):
        save(painted(4 * number, 2.0), source / "characters/Lumi" / f"{number}.png")
    for number in range(3):
        save(painted(31 + number, 2.0), source / "artists" / f"{number}.png")
    save(painted(0, 2.0), source / "characters/Lumi" / "copy.jpg")
    save(painted(50, 2.0).resize((24, 24)), source / "artists" / "tiny.png")
    save(painted(60, 2.0), source / "artists" / "[b] &amp; 'x'.png")
    (source / "artists" / "[b] &amp; 'x'.txt").write_text(f"1girl, {HOSTILE}", encoding="utf-8")
    root = folder / "set"
    root.mkdir()
    (root / "prep.toml").write_text(
        f'# kept\n[set]\nsources = ["{source.as_posix()}"]\n[bucket]\nresolution = 64\nbucket_reso_steps = 8\n'
        '[tag]\nmodel = "miniature"\n[curate]\ncore_images = 3\n',
        encoding="utf-8",
    )
    for stage in STAGES:
        run(stage, root)
    return root


def run(stage: str, root: Path) -> dict[str, Any]:
    """What a stage prints as JSON."""
    result = CliRunner().invoke(prep, [stage, str(root), "--json"], standalone_mode=False)
    assert result.exception is None, result.output
    return json.loads(result.stdout)


@dataclass(frozen=True, slots=True)
class Served:
    """A desk that answers on a port of this machine."""

    desk: Desk
    secrets: Secrets
    port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/?token={self.secrets.token}"

    @property
    def headers(self) -> dict[str, str]:
        """Those of a page of this desk that writes."""
        return {
            "Host": f"127.0.0.1:{self.port}",
            "Cookie": f"{cookie_name(self.port)}={self.secrets.session}",
            "Origin": f"http://127.0.0.1:{self.port}",
            "Sec-Fetch-Site": "same-origin",
            "X-Prep-Desk": self.secrets.writing,
            "Content-Type": "application/json",
        }

    def get(self, name: str) -> Any:
        """A document that must be there."""
        status, _, body = self.ask("GET", f"/{self.secrets.prefix}/{name}", self.headers)
        assert status == 200, body
        return json.loads(body) if name.startswith("api/") else body

    def post(self, name: str, document: Any) -> tuple[int, Any]:
        body = json.dumps(document).encode()
        status, _, answer = self.ask("POST", f"/{self.secrets.prefix}/api/{name}", self.headers, body)
        return status, json.loads(answer)

    def ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes = b""
    ) -> tuple[int, dict[str, str], bytes]:
        """(status, headers in lower case, body) of a request sent as it is: nothing of the path is put right."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if method == "POST" and "Content-Length" not in headers:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body if method == "POST" else None)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        content = answer.read()
        connection.close()
        return answer.status, found, content

    def ids(self, query: str = "") -> dict[str, int]:
        """Path → id of the images that a query means."""
        from urllib.parse import quote

        found = self.get(f"api/images?q={quote(query)}")["ids"]
        return {self.desk.path_of(number): number for number in found}


@contextlib.contextmanager
def served(root: Path) -> Iterator[Served]:
    """A desk of a set that answers, stopped at the end."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.bind(("127.0.0.1", 0))
    port, secrets = int(bound.getsockname()[1]), Secrets()
    desk = Desk(root)
    app = create_app(desk, secrets, port)
    server = server_of(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started and time.monotonic() < until:
        time.sleep(0.01)
    try:
        yield Served(desk, secrets, port)
    finally:
        server.should_exit = True
        thread.join(10)
        bound.close()
        desk.close()
