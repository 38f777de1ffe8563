"""A set that was made with format 3 opens with all that it held, and what was fresh, stopped or undoable is so still."""

import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import zipfile
from multiprocessing import get_context
from pathlib import Path

import pytest

from pipeline.core.errors import PrepError
from pipeline.store.manifest import Manifest
from pipeline.store.migrations import steps
from pipeline.store.migrations.to_4 import step as to_4
from pipeline.store.tables.schema import VERSION
from pipeline.store.training_log import read_csv
from pipeline.store.wording import phrase

DATA = Path(__file__).parents[2] / "data" / "schema-3"
EXPECTED = json.loads((DATA / "expected.json").read_text(encoding="utf-8"))
FIELDS = {"twin": "regularization", "multiplier": "repeats", "given": "user_repeats", "overlay": "manual_edits"} | {
    "placed": "imported", "human": "manual_caption", "cut": "truncated_tags"
}  # fmt: skip
REWRITTEN = ("run.json", "set.json", "recipe.json", "log.jsonl", "images.csv", "state.safetensors")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("format 3")
    zipfile.ZipFile(DATA / "set.zip").extractall(folder)
    return folder


@pytest.fixture
def old(unpacked, tmp_path):
    """The set as it was."""
    shutil.copytree(unpacked, tmp_path / "copy")
    return tmp_path / "copy" / "set"


@pytest.fixture(scope="module")
def brought(unpacked, tmp_path_factory):
    """The set brought forward; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("format 4") / "copy"
    shutil.copytree(unpacked, folder)
    Manifest.open(folder / "set").close()
    return folder


@pytest.fixture
def root(brought, tmp_path):
    """A copy of the set brought forward."""
    shutil.copytree(brought, tmp_path / "copy")
    return tmp_path / "copy" / "set"


def contents(folder):
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != ".prep-lock"
    }


def plain(field, value):
    """A decision in brief, in what every format says."""
    if field == "tags":
        return [list(row[:2]) for row in value]
    if field == "repeats":
        return value["exact"]
    if field == "bucket":
        return [value["size"], value["crop"]]
    return [value["path"], value["caption"], value["seed"]] if field == "regularization" else value


def decided(root):
    """(path, field) → (value in brief, run)"""
    with sqlite3.connect(root / "manifest.db") as connection:
        rows = connection.execute("SELECT path, field, value, run FROM decisions").fetchall()
    connection.close()
    return {(path, field): (plain(field, json.loads(value)), run) for path, field, value, run in rows}


def ran(root):
    with Manifest.open(root) as manifest:
        return [[run.id, run.stage, bool(run.finished), run.undone] for run in manifest.runs()]


def state(words):
    """A stage's state without the words for what changed: fresh, stale or never run; by which runs."""
    return re.match(r"[a-z ]+", words)[0], re.findall(r"run \d+", words)


def states(document):
    return {row["stage"]: state(row["state"]) for row in document["stages"] if row["stage"] != "flatten"}


def asked(command, *arguments):
    result = command(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_it_holds_what_it_held(root):
    with Manifest.open(root) as manifest:
        found = [[each.path, each.concept, each.content, each.bytes, each.link] for each in manifest.images()]
        assert found == EXPECTED["images"]
        assert manifest.written() == EXPECTED["captions"]
    assert ran(root) == EXPECTED["runs"]
    assert decided(root) == {
        (path, FIELDS.get(field, field)): ([value] if field == "tagger" else value, run)
        for path, field, value, run in EXPECTED["decisions"]
    }


def test_its_tables_are_those_of_a_new_set(root, tmp_path):
    Manifest.open(tmp_path / "new", create=True).close()
    found = []
    for folder in (root, tmp_path / "new"):
        with sqlite3.connect(folder / "manifest.db") as connection:
            names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master ORDER BY 1")]
            found.append({name: connection.execute(f"PRAGMA table_info({name})").fetchall() for name in names})
            found.append(
                [connection.execute(f"PRAGMA {each}").fetchone() for each in ("user_version", "application_id")]
            )
        connection.close()
    assert found[:2] == found[2:]


def test_what_was_fresh_is_fresh_and_what_was_stale_is_so_for_the_same_reasons(root, command):
    document = asked(command, "status", root)
    assert states(document) == {stage: state(words) for stage, words in EXPECTED["status"].items()}
    assert (document["images"], document["kept"]) == (16, 11)


@pytest.mark.parametrize("case", EXPECTED["undo"])
def test_undo_gives_what_it_gave(root, command, case):
    expected = EXPECTED["undo"][case]
    before, decisions, runs = contents(root), decided(root), ran(root)
    for arguments, code in expected["commands"]:
        assert command("undo", root, *arguments).exit_code == code
    assert states(asked(command, "status", root)) == {key: state(words) for key, words in expected["status"].items()}
    assert [each for each in ran(root) if each not in runs] == expected["runs"]
    after = decided(root)
    changed = [key for key in sorted(decisions.keys() | after.keys()) if decisions.get(key) != after.get(key)]
    assert {key: after[key][0] if key in after else "gone" for key in changed} == {
        (path, FIELDS.get(field, field)): value for path, field, value in expected["decisions"]
    }
    files = contents(root)
    made = {
        path: hashlib.sha256(files[path]).hexdigest() if path in files else None
        for path in sorted(before.keys() | files.keys())
        if before.get(path) != files.get(path) and not path.startswith("manifest.db")
    }
    wanted = {path.replace("pictures.csv", "images.csv"): digest for path, digest in expected["files"].items()}
    assert made.keys() == wanted.keys()
    for path, digest in wanted.items():
        assert (made[path] is None) == (digest is None)
        assert made[path] == digest or path.endswith(REWRITTEN), path
    for path, text in expected["captions"].items():
        assert (root / path).with_suffix(".txt").read_bytes().decode() == text


@pytest.mark.parametrize("stage", ["check", "bucket", "tag", "balance", "regularize"])
def test_a_stage_that_runs_again_decides_and_says_what_it_did(root, command, stage):
    with Manifest.open(root) as manifest:
        before = manifest.last_run(stage).counts
    images = {path: data for path, data in contents(root).items() if path.startswith(("images/", "regularization/"))}
    outcome = asked(command, stage, root, "--force")
    assert outcome["changed"] == (2 if stage == "check" else 0), "check now keeps the lossless one of two copies"
    assert {key for key, number in before.items() if number} <= outcome["counts"].keys() | {"scored_on:CPU"}
    assert {path: contents(root)[path] for path in images} == images


def test_curation_that_runs_again_decides_what_it_did(root, command):
    assert command("undo", root, 18).exit_code == 0
    before = tag_rows(root)
    outcome = asked(command, "curate", root, "--force")
    in_order = {
        key: told.replace("solo, 1girl", "1girl, solo") if isinstance(told, str) else told
        for key, told in before.items()
    }
    assert tag_rows(root) == in_order != before, "the count of persons stands first now"
    assert (outcome["fresh"], outcome["changed"]) == (False, 18), (
        "9 captions in another order, 9 rows that say what implies what"
    )


def tag_rows(root):
    """Every caption, and what became of every tag, in words."""
    with Manifest.open(root) as manifest:
        rows = {path: row.value for path, row in manifest.decisions("tags").items()}
        texts = {(path, "caption"): row.value for path, row in manifest.decisions("caption").items()}
    told = {(path, row.tag): (row.action, phrase(row)) for path, held in rows.items() for row in held}
    return told | texts


def test_the_finished_training_is_fresh_and_its_samples_are_there(root, command):
    assert asked(command, "train", root, "--stale", "use")["fresh"] and asked(command, "sample", root)["fresh"]


def test_the_stopped_training_is_resumed_and_ends_as_the_one_that_was_not_stopped(root, command):
    """The first three of sixteen steps were made on another machine, with another processor. Weights of 1e-2 and less, in
    single precision of 6e-8 a part, differ by far less than this; where the run begins anew or a draw is another one, by
    1e-3 and more."""
    import torch
    from safetensors.torch import load_file

    outcome = asked(command, "train", root, "--name", "stopped", "--stale", "use")
    assert not outcome["fresh"] and 3 in outcome["counts"].values()
    one, other = (load_file(root / f"runs/{name}/{name}.safetensors") for name in ("adapter", "stopped"))
    assert one.keys() == other.keys()
    for key, tensor in one.items():
        torch.testing.assert_close(other[key], tensor, rtol=0, atol=1e-5)
    steps = [json.loads(line)["step"] for line in (root / "runs/stopped/log.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 17))


def test_a_run_is_told_of_and_done_again(root, command):
    assert command("report", root, "--run", "adapter").exit_code == 0
    shown = read_csv(root / "runs/adapter/images.csv")
    assert len(shown) == 11 and sum(row.tally.exposures for row in shown) == 28
    again = asked(command, "train", root, "--replay", root / "runs/adapter/run.json", "--dry-run")
    assert again["stage"] == "train"


def test_settings_keep_their_comments_and_get_their_new_names(old, command):
    toml = old / "prep.toml"
    before = toml.read_text().replace("learning_rate", "# about learning_rate\nlearning_rate")
    toml.write_text(before)
    assert command("status", old).exit_code == 0
    after = toml.read_text()
    assert "# about learning_rate\nunet_lr = 1e-2\n" in after
    renamed = {
        "learning_rate = ": "unet_lr = ",
        "\nstep = 8": "\nbucket_reso_steps = 8",
        "state_every": "save_state_every",
    }
    renamed |= {"validation_pictures": "validation_images"}
    for one, other in renamed.items():
        before = before.replace(one, other)
    assert after == before
    assert (old / "prep.toml.v3").exists()


def test_the_person_is_told_once_and_the_old_record_is_kept(old, command):
    first = command("status", old)
    assert f"the set was brought from format 3 to {VERSION}; its record as it was is kept in" in first.stderr
    assert "was brought" not in command("status", old).stderr
    kept = Path(f"{old}/manifest.db.v3")
    with sqlite3.connect(kept) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)
    connection.close()
    for file in (old / "manifest.db", *old.glob("manifest.db-*")):
        file.unlink()
    kept.rename(old / "manifest.db")
    assert states(asked(command, "status", old)) == {stage: state(words) for stage, words in EXPECTED["status"].items()}


def rows(file):
    with sqlite3.connect(file) as connection:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY 1")
        ]
        found = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables}
        found["version"] = connection.execute("PRAGMA user_version").fetchall()
    connection.close()
    return found


def killed(root, place, name, at):
    """Open the set in a process that is killed when it comes to a function the so-and-so-manieth time."""

    def child():
        real, left = getattr(place, name), at

        def dies(*arguments):
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments)

        setattr(place, name, dies)
        Manifest.open(root).close()
        os._exit(0)

    process = get_context("fork").Process(target=child)
    process.start()
    process.join(60)
    return process.exitcode


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a child is forked")
@pytest.mark.parametrize(
    ("place", "name"), [(steps, "_keep_copy"), (to_4.decisions, "bring_forward"), (to_4.runs, "bring_forward")]
)
def test_killed_before_its_end_a_migration_leaves_the_set_as_it_was(old, command, place, name):
    before, held = contents(old), rows(old / "manifest.db")
    assert killed(old, place, name, 1) == -signal.SIGKILL
    after = contents(old)
    assert {path: after[path] for path in before if path != "manifest.db"} == {
        path: before[path] for path in before if path != "manifest.db"
    }
    assert rows(old / "manifest.db") == held
    assert states(asked(command, "status", old)) == {stage: state(words) for stage, words in EXPECTED["status"].items()}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a child is forked")
@pytest.mark.parametrize("at", [1, 2, 4, 8, 11])
def test_killed_among_the_files_it_is_finished_by_whoever_opens_the_set_next(old, brought, at):
    from pipeline.core import files

    assert killed(old, files.Path, "replace", at + 1) == -signal.SIGKILL
    Manifest.open(old).close()
    found, wanted = contents(old), contents(brought / "set")
    assert found.keys() - {path for path in found if "/.prep-" in f"/{path}"} == wanted.keys()
    for path in wanted.keys() - {"manifest.db", "manifest.db.v3"}:
        assert found[path] == wanted[path], path
    assert rows(old / "manifest.db") == rows(brought / "set" / "manifest.db")


def test_what_a_killed_program_left_in_the_log_is_brought_forward_too(old, tmp_path):
    with sqlite3.connect(old / "manifest.db", isolation_level=None) as connection:
        connection.execute("UPDATE runs SET finished='at last' WHERE id=25")
        shutil.copytree(old, tmp_path / "left")
    connection.close()
    assert (tmp_path / "left/manifest.db-wal").stat().st_size
    assert [25, "train", True, None] in ran(tmp_path / "left")


def test_a_damaged_record_is_refused_untouched(old):
    file = old / "manifest.db"
    whole = bytearray(file.read_bytes())
    whole[40_000:60_000] = b"\xff" * 20_000
    file.write_bytes(whole)
    before = contents(old)
    with pytest.raises(PrepError, match=r"is damaged|is not a manifest"):
        Manifest.open(old)
    assert contents(old) == before


def test_a_set_that_is_in_use_is_not_brought_forward_under_the_hands_of_another(old, command):
    from pipeline.store.lock import lock

    before = contents(old)
    with lock(old, "train"):
        result = command("status", old)
    assert result.exit_code == 1 and "prep train" in result.stderr
    assert contents(old) == before
