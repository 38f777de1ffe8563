"""Images asked for and decided about from the command line, in the language of the desk."""

import json

import pytest
from click.testing import CliRunner
from desks import decided_set, run

from pipeline.cli.main import prep
from pipeline.core.errors import PrepError
from pipeline.store.manifest import Manifest


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return decided_set(tmp_path_factory.mktemp("images"))


def images(*arguments: object) -> dict:
    result = CliRunner().invoke(prep, ["images", *map(str, arguments), "--json"], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return json.loads(result.stdout)


def test_a_query_lists_what_it_means(root):
    assert images("list", root)["images"] == 12
    found = images("list", root, "concept:characters", "group:any", "--sort", "-path")
    assert found["images"] == 2 and [row["verdict"] for row in found["rows"]].count("near-duplicate") == 1


def test_a_decision_is_kept_told_and_taken_back(root):
    path = images("list", root, "verdict:kept", "path:*/1.png", "concept:characters")["rows"][0]["image"]
    query = f'path:"{path}"'
    before = images("drop", root, query, "--dry-run")
    assert before["run"] is None and before["rows"] == [path]
    assert images("drop", root, query)["run"]
    assert images("list", root, query)["rows"][0] == {"image": path, "verdict": "excluded by you", "you": "keep False"}
    run("check", root)
    with Manifest.open(root) as manifest:
        assert manifest.decisions("keep")[path].value is False
    images("reset", root, query)
    assert (
        images("list", root, query)["rows"][0]["you"] == ""
        and images("list", root, query)["rows"][0]["verdict"] == "good"
    )
    images("anchor", root, "top", query)
    images("repeats", root, "2.5", query)
    assert images("list", root, query)["rows"][0]["you"] == "anchor top, repeats 2.5"


def test_slips_are_named(root):
    with pytest.raises(PrepError, match="is nothing that can be asked"):
        images("drop", root, "concpt:a")
    with pytest.raises(PrepError, match="no image is"):
        images("drop", root, "width>100000")
    with pytest.raises(PrepError, match="no crop anchor"):
        images("anchor", root, "sideways", "all")


def test_what_a_person_reads_ends_with_what_to_type(root):
    result = CliRunner().invoke(prep, ["images", "keep", str(root), "reason:too_small"], standalone_mode=False)
    assert result.exception is None and "1 image kept" in result.stderr and "prep undo" in result.stderr
