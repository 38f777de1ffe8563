"""`prep review` as a person runs it, in a process of its own: it begins, is alone on its set, and ends at once."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from desks import Served

from pipeline.review.server.one_desk import ADDRESS
from pipeline.store.lock import lock
from pipeline.store.manifest import Manifest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process on Windows")
SOON = 20.0
"""Seconds after which a process that says nothing is taken for one that hangs."""
HOLDING = """
import sys
from pathlib import Path
from pipeline.store.lock import lock
with lock(Path(sys.argv[1]), "train"):
    print("held", flush=True)
    sys.stdin.read()
"""


class Process:
    """A desk in a process of its own."""

    def __init__(self, root: Path, *flags: str, **changed: str) -> None:
        self.root = root
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "review", str(root), *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "200", **changed},
            start_new_session=True,
        )

    def line(self) -> str:
        """The next line on stdout."""
        return self._process.stdout.readline()

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, body: str | None = None):
        """(status, headers, body) from the address that the set's own note names."""
        address = urlsplit(json.loads((self.root / ADDRESS).read_text(encoding="utf-8"))["address"])
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=SOON)
        connection.request(method, path or f"/?{address.query}", body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()

    def decide(self, wait: bool = True) -> int | None:
        """Drop the first image, by the way that a browser goes: the landing, its page, what that page sends."""
        _, landing, text = self.ask("GET", "")
        cookie, port = (
            landing["Set-Cookie"].partition(";")[0],
            landing["Set-Cookie"].partition("=")[0].rpartition("-")[2],
        )
        prefix = text.partition("/images")[0].rpartition("/")[2]
        _, _, page = self.ask("GET", f"/{prefix}/images", {"Cookie": cookie})
        secret = page.partition('name="desk-secret" content="')[2].partition('"')[0]
        headers = {"Cookie": cookie, "Origin": f"http://127.0.0.1:{port}", "X-Prep-Desk": secret}
        headers["Content-Type"] = "application/json"
        _, _, found = self.ask("GET", f"/{prefix}/api/images", headers)
        body = json.dumps({"ids": json.loads(found)["ids"][:1], "choice": {"keep": False}})
        if wait:
            return self.ask("POST", f"/{prefix}/api/decide", headers, body)[0]
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=SOON)
        connection.request("POST", f"/{prefix}/api/decide", body, headers)
        return None

    def stop(self, sent: signal.Signals = signal.SIGINT) -> tuple[int, float, str, str]:
        """(exit status, seconds it took to end, the rest of stdout, all of stderr) after a signal."""
        before = time.monotonic()
        self._process.send_signal(sent)
        out, err = self._process.communicate(timeout=SOON)
        return self._process.returncode, time.monotonic() - before, out, err

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def started(root: Path, *flags: str, **changed: str) -> Iterator[Process]:
    process = Process(root, *flags, **changed)
    try:
        yield process
    finally:
        process.kill()


@contextlib.contextmanager
def at_work(root: Path) -> Iterator[subprocess.Popen]:
    """Another process that holds the set."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.communicate("")


def last_run(root: Path):
    with contextlib.closing(Manifest.open(root)) as manifest:
        return manifest.runs()[-1]


def test_it_says_where_it_is_and_ends_with_what_was_decided(root):
    with started(root, "--no-browser") as desk:
        address = desk.line()
        assert address.startswith("http://127.0.0.1:") and "?token=" in address
        assert desk.ask("GET", "")[0] == 200, "it answers from the first moment"
        assert (root / ADDRESS).stat().st_mode & 0o777 == 0o600
        assert desk.decide() == 200
        code, seconds, out, err = desk.stop()
    assert code == 0 and seconds < 5 and out == "", err
    assert "12 images, " in err and "manifest.db" in err and "Ctrl-C ends the desk" in err
    assert "1 decision made" in err and f"prep log {root}" in err and f"prep status {root}" in err
    assert "Traceback" not in err and "token" not in err
    assert last_run(root).stage == "review"
    assert not (root / ADDRESS).exists()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_being_told_to_end_leaves_no_address_behind(root, sent):
    with started(root, "--no-browser") as desk:
        desk.line()
        assert desk.stop(sent)[0] == 0
    assert not (root / ADDRESS).exists()


def test_a_desk_on_which_nothing_was_decided_says_so(root):
    with started(root, "--no-browser") as desk:
        desk.line()
        code, _, _, err = desk.stop()
    assert code == 0 and "nothing was decided" in err and f"prep status {root}" in err


def test_json_is_one_line_with_the_address_and_the_process(root):
    with started(root, "--json") as desk:
        found = json.loads(desk.line())
        assert found["process"] == desk._process.pid and found["set"] == str(root)
        assert found["address"] == json.loads((root / ADDRESS).read_text(encoding="utf-8"))["address"]
        code, _, out, err = desk.stop()
    assert (code, out, err) == (0, "", "")


def test_a_second_desk_names_the_address_of_the_first_and_leaves_it_alone(root):
    with started(root, "--no-browser") as first:
        address = first.line().strip()
        second = Process(root, "--no-browser")
        out, err = second._process.communicate(timeout=SOON)
        assert second._process.returncode == 1 and out == "" and "Traceback" not in err
        assert "is open already" in err and address in err and "Ctrl-C" in err
        assert first.ask("GET", "")[0] == 200 and (root / ADDRESS).exists()
        assert first.stop()[0] == 0


def test_a_desk_of_another_set_runs_beside_it(root, one_set):
    with started(root, "--no-browser") as first, started(one_set, "--no-browser") as other:
        assert first.line() != other.line()
        assert other.stop()[0] == 0 and first.ask("GET", "")[0] == 200


def test_a_desk_that_was_killed_is_no_hindrance_and_its_secrets_open_nothing(root):
    with started(root, "--no-browser") as first:
        old = urlsplit(first.line().strip())
        assert first.decide() == 200
        first.kill()
    assert (root / ADDRESS).exists(), "nobody was left to take it away"
    assert last_run(root).stage == "review", "what was answered was written"
    with started(root, "--no-browser") as again:
        new = urlsplit(again.line().strip())
        assert new.query != old.query and again.ask("GET", f"/?{old.query}")[0] == 403
        assert again.ask("GET", "")[0] == 200
        code, _, _, err = again.stop()
    assert code == 0 and "nothing was decided" in err


def test_a_port_that_is_taken_is_told(root, reading: Served):
    process = Process(root, "--no-browser", "--port", str(reading.port))
    out, err = process._process.communicate(timeout=SOON)
    assert process._process.returncode == 1 and out == ""
    assert f"port {reading.port} cannot be used" in err and "--port" in err
    assert not (root / ADDRESS).exists()


def test_the_browser_is_sent_by_a_file_of_this_account_that_goes_away(root, tmp_path):
    told = tmp_path / "told"
    script = tmp_path / "browser"
    script.write_text(
        f"#!{sys.executable}\nimport os, sys\nfrom pathlib import Path\nfrom urllib.parse import urlsplit\n"
        "file = Path(urlsplit(sys.argv[1]).path)\n"
        f"half = Path({str(told)!r} + '.half')\n"
        "half.write_text(f'{file}\\n{file.stat().st_mode:o} {file.parent.stat().st_mode:o}\\n{file.read_text()}')\n"
        f"half.rename({str(told)!r})\n",
        encoding="utf-8",
    )
    script.chmod(0o755)
    with started(root, BROWSER=f"{script} %s") as desk:
        address = desk.line().strip()
        until = time.monotonic() + SOON
        while not told.exists() and time.monotonic() < until:
            time.sleep(0.05)
        file, modes, text = told.read_text(encoding="utf-8").split("\n", 2)
        assert modes == "100600 40700" and f"url={address}" in text and "token" not in file
        desk.stop()
    assert not Path(file).parent.exists()


def test_a_set_held_by_another_process_is_looked_at_and_a_decision_is_refused_with_its_name(desk, root, monkeypatch):
    monkeypatch.setattr("pipeline.review.desk.PATIENCE", 0.2)
    number = next(iter(desk.ids().values()))
    with at_work(root) as other:
        assert f"prep train (process {other.pid} on" in desk.get("api/version")["busy"]
        assert desk.get(f"api/image/{number}")["id"] == number
        for name, sent in (("decide", {"ids": [number], "choice": {"keep": False}}), ("update", {})):
            status, answer = desk.post(name, sent)
            assert status == 409 and f"process {other.pid}" in answer["error"], answer
            assert "nothing was written" in answer["hint"] and "conflicts" not in answer
    assert desk.get("api/version")["busy"] == ""
    assert desk.post("decide", {"ids": [number], "choice": {"keep": False}})[0] == 200


def test_a_process_that_lets_go_in_time_is_only_waited_for(desk, root):
    number = next(iter(desk.ids().values()))
    with at_work(root) as other:
        other.stdin.close()
        other.stdin = None
        status, answer = desk.post("decide", {"ids": [number], "choice": {"keep": False}})
    assert status == 200, answer


def test_ctrl_c_does_not_wait_for_a_decision_that_waits_and_nothing_is_written_afterwards(root):
    with started(root, "--no-browser") as desk, at_work(root):
        desk.line()
        before = last_run(root).id
        desk.decide(wait=False)
        time.sleep(0.5)
        code, seconds, _, err = desk.stop()
        assert code == 0 and "nothing was decided" in err and "Traceback" not in err
        assert seconds < 4, "less than the five seconds that the decision would wait"
    assert last_run(root).id == before


def test_a_set_is_free_for_commands_while_its_desk_is_open(desk, root):
    desk.get("api/version")
    with lock(root, "check"):
        assert desk.get("api/version")["busy"].startswith("prep check")
