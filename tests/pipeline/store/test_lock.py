"""Two commands on one set: the second learns who holds it."""

import json
import os
import subprocess
import sys

import pytest

from pipeline.core.errors import PrepError
from pipeline.store.lock import HOLDER, is_locked, lock

HOLD = """
import sys, time
from pathlib import Path
from pipeline.store.lock import lock
with lock(Path(sys.argv[1]), "train"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the set tmp_path/set."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "set")], stdout=subprocess.PIPE)
    assert process.stdout.readline().strip() == b"held"
    yield process
    process.kill()
    process.communicate()


def test_the_second_command_says_who_is_at_work_and_since_when(command, holder, source, tmp_path):
    assert is_locked(tmp_path / "set")
    result = command("flatten", source, tmp_path / "set")
    assert result.exit_code == 1 and result.stdout == ""
    assert f"error: prep train (process {holder.pid} on " in result.stderr and "since 20" in result.stderr
    assert "hint: wait for it to end, or stop it" in result.stderr


def test_a_holder_that_was_killed_holds_no_more(command, holder, source, tmp_path):
    holder.kill()
    holder.wait()
    assert not is_locked(tmp_path / "set") and (tmp_path / "set" / HOLDER).exists()
    assert command("flatten", source, tmp_path / "set").exit_code == 0
    assert not (tmp_path / "set" / HOLDER).exists()


def test_looking_is_allowed_while_another_is_at_work(command, source, tmp_path):
    root = tmp_path / "set"
    command("flatten", source, root)
    with lock(root, "tag"):
        for looking in ("status", "log", "diff"):
            assert command(looking, root).exit_code == 0
        assert command("check", root).exit_code == 1
        assert command("undo", root).exit_code == 1


def test_a_holder_file_that_says_nothing_is_no_traceback(tmp_path):
    with lock(tmp_path, "tag"):
        assert json.loads((tmp_path / HOLDER).read_text(encoding="utf-8"))["process"] == os.getpid()
        (tmp_path / HOLDER).write_text("[]", encoding="utf-8")
        with pytest.raises(PrepError, match="another prep is at work"), lock(tmp_path, "check"):
            pass


def test_looking_at_a_set_makes_nothing_where_there_is_none(command, tmp_path):
    for looking in ("status", "log", "diff", "undo", "check"):
        result = command(looking, tmp_path / "none")
        assert result.exit_code == 1 and "no set at" in result.stderr and not (tmp_path / "none").exists()


def test_a_command_is_not_refused_because_another_process_looks_again_and_again(tmp_path):
    looks = "import sys\nfrom pathlib import Path\nfrom pipeline.store.lock import is_locked\n"
    looks += "while not is_locked(Path(sys.argv[1])):\n    pass\nprint('seen', flush=True)\n"
    looks += "while True:\n    is_locked(Path(sys.argv[1]))\n"
    tmp_path.joinpath("set").mkdir()
    process = subprocess.Popen([sys.executable, "-c", looks, str(tmp_path / "set")], stdout=subprocess.PIPE)
    try:
        with lock(tmp_path / "set", "check"):
            assert process.stdout.readline().strip() == b"seen"
        for _ in range(200):
            with lock(tmp_path / "set", "check"):
                pass
    finally:
        process.kill()
        process.communicate()
