"""What a manifest.db is, is found out before a byte is written: what is not ours or not for us is left as it is."""

import sqlite3

import pytest

from pipeline.core.errors import PrepError
from pipeline.store.database import connect, version_of
from pipeline.store.manifest import Manifest
from pipeline.store.tables.schema import APPLICATION_ID, VERSION


def made(folder, *statements):
    """A SQLite file made by these statements."""
    folder.mkdir(exist_ok=True)
    with sqlite3.connect(folder / "manifest.db", isolation_level=None) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    return folder / "manifest.db"


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


FOREIGN = ("CREATE TABLE cookies (host TEXT)", "INSERT INTO cookies VALUES ('a')")


@pytest.mark.parametrize(
    ("statements", "message", "hint"),
    [
        (FOREIGN, "is not a manifest: another program made it", "move"),
        ((*FOREIGN, "PRAGMA user_version=3"), "is not a manifest: another program made it", "move"),
        ((*FOREIGN, "PRAGMA user_version=4"), "is not a manifest: another program made it", "move"),
        (("CREATE TABLE images (path TEXT)", "PRAGMA user_version=3"), "another program made it", "move"),
        ((*FOREIGN, "PRAGMA application_id=252006674"), "is not a manifest: another program made it", "move"),
        (("PRAGMA application_id=252006674",), "is not a manifest: another program made it", "move"),
        ((*FOREIGN, "PRAGMA journal_mode=WAL"), "is not a manifest: another program made it", "move"),
        (
            (*FOREIGN, f"PRAGMA application_id={APPLICATION_ID}", "PRAGMA user_version=5"),
            f"has format 5, this prep reads up to {VERSION}",
            "update prep",
        ),
        (
            (*FOREIGN, f"PRAGMA application_id={APPLICATION_ID}", "PRAGMA user_version=2"),
            f"has format 2, this prep reads 3 to {VERSION}",
            "an older prep made it: flatten the same folders into a new set",
        ),
    ],
)
def test_a_foreign_a_newer_and_a_too_old_file_are_refused_untouched(tmp_path, statements, message, hint):
    made(tmp_path / "set", *statements)
    before = contents(tmp_path / "set")
    for create in (False, True):
        with pytest.raises(PrepError, match=message) as caught:
            Manifest.open(tmp_path / "set", create=create)
        assert caught.value.hint.startswith(hint)
    assert contents(tmp_path / "set") == before


@pytest.mark.parametrize("how", ["no database", "header alone", "cut short", "torn"])
def test_a_damaged_file_is_refused_untouched(tmp_path, how):
    Manifest.open(tmp_path / "set", create=True).close()
    file = tmp_path / "set/manifest.db"
    whole = file.read_bytes()
    damaged = {
        "no database": b"no database" * 1000,
        "header alone": whole[:100],
        "cut short": whole[:4096],
        "torn": whole[:100] + bytes(3996) + whole[4096:],
    }
    file.write_bytes(damaged[how])
    before = contents(tmp_path / "set")
    with pytest.raises(PrepError, match="is not a manifest"):
        Manifest.open(tmp_path / "set")
    assert contents(tmp_path / "set") == before


def test_a_newer_version_that_stands_in_the_log_alone_is_seen(tmp_path):
    Manifest.open(tmp_path / "set", create=True).close()
    file = tmp_path / "set/manifest.db"
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("PRAGMA wal_autocheckpoint=0")
        other.execute("PRAGMA user_version=5")
        before = file.read_bytes(), file.with_name("manifest.db-wal").read_bytes()
        assert before[1]
        with pytest.raises(PrepError, match="has format 5"):
            Manifest.open(tmp_path / "set")
        assert (file.read_bytes(), file.with_name("manifest.db-wal").read_bytes()) == before
    other.close()


def test_a_new_record_says_whose_it_is(tmp_path):
    file = tmp_path / "manifest.db"
    assert version_of(file) == 0 and not file.exists()
    connect(file).close()
    assert version_of(file) == VERSION
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    connection.close()
    assert APPLICATION_ID.to_bytes(4, "big") == b"PREP" == file.read_bytes()[68:72]


def test_a_file_of_no_bytes_as_a_killed_program_leaves_it_is_filled(tmp_path):
    (tmp_path / "manifest.db").touch()
    with Manifest.open(tmp_path) as manifest:
        assert manifest.images() == ()


def test_looking_at_the_version_leaves_nothing_beside_the_file(tmp_path):
    Manifest.open(tmp_path, create=True).close()
    before = contents(tmp_path)
    version_of(tmp_path / "manifest.db")
    assert contents(tmp_path) == before
