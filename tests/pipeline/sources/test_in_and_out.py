"""Images that leave a set or come into it without prep are each in one state, with one command that settles it."""

import pytest
from painted_sets import painted, run_flatten, save

from pipeline.sources.in_and_out import sentences, states
from pipeline.store.history.undo import find, undo
from pipeline.store.manifest import Manifest
from pipeline.store.wording import phrase

NONE = {"deleted": [], "source gone": [], "stray": []}


@pytest.fixture
def source(tmp_path):
    for number in range(3):
        save(painted(number), tmp_path / f"pics/Lumi/{number}.png")
    return tmp_path / "pics"


@pytest.fixture
def made(source, tmp_path):
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, source)
    assert states(manifest) == NONE and list(sentences(manifest)) == []
    return manifest


def paths(manifest):
    return {image.path.rpartition("/")[2] for image in manifest.images()}


def test_an_image_deleted_from_the_set_comes_back_or_stays_out_for_good(made, source):
    file = made.root / "images/Lumi/1.png"
    file.unlink()
    assert states(made) == {**NONE, "deleted": ["images/Lumi/1.png"]}
    assert any("deleted: 1" in words and "flatten --prune" in words for words in sentences(made))
    run_flatten(made, source)
    assert file.exists() and states(made) == NONE
    file.unlink()
    run_flatten(made, source, prune=True)
    assert paths(made) == {"0.png", "2.png"} and states(made) == NONE
    run_flatten(made, source)
    assert paths(made) == {"0.png", "2.png"} and not file.exists(), "what was left out does not come back by itself"
    row = made.decisions("imported")[str(source / "Lumi/1.png")]
    assert (row.value, phrase(row)) == (None, "deleted from the set")
    pruned = next(run for run in made.runs() if run.options.get("prune"))
    undo(made, find(made, pruned.id))
    assert states(made)["deleted"] == ["images/Lumi/1.png"], "undone, it is of the set again"


def test_an_image_whose_source_is_gone_stays_until_it_is_pruned(made, source):
    (source / "Lumi/2.png").unlink()
    run_flatten(made, source)
    assert paths(made) == {"0.png", "1.png", "2.png"}
    assert states(made) == {**NONE, "source gone": ["images/Lumi/2.png"]}
    outcome = run_flatten(made, source, prune=True)
    assert paths(made) == {"0.png", "1.png"} and states(made) == NONE
    assert any("taken out of the set, as their source is gone" in words for words in outcome.plan.warnings)
    assert (made.root / "images/Lumi/2.png").exists(), "nothing is deleted"


def test_a_source_that_moved_is_neither_lost_nor_twice(made, source):
    (source / "Lumi/2.png").rename(source / "Lumi/renamed.png")
    run_flatten(made, source, prune=True)
    assert len(paths(made)) == 3 and states(made) == NONE


def test_a_file_dropped_into_the_set_is_no_image_of_it_and_said(made, source):
    save(painted(9), made.root / "images/Lumi/dropped.png")
    assert states(made) == {**NONE, "stray": ["images/Lumi/dropped.png"]}
    assert any("stray: 1" in words and "put them into a source folder" in words for words in sentences(made))
    save(painted(9), source / "Lumi/dropped.png")
    run_flatten(made, source)
    assert states(made) == NONE and "dropped.png" in paths(made)
