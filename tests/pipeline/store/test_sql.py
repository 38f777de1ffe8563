"""SQL stands in the store alone; that nobody else imports sqlite3 is checked with the layers."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[3]
TO_SQLITE = {"execute", "executemany", "executescript", "_db"}


def test_no_query_is_written_outside_the_store():
    files = [file for package in ("pipeline", "taggers", "train") for file in (ROOT / package).rglob("*.py")]
    outside = [file for file in files if ROOT / "pipeline" / "store" not in file.parents]
    assert len(outside) > 100
    for file in outside:
        names = {node.attr for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.Attribute)}
        assert not names & TO_SQLITE, file
