"""An image that is edited in the set is another content: it is noticed, said, and never stored under the old hash."""

import os

import pytest
from painted_sets import painted, quiet, run_flatten, save

from pipeline.core.files import file_digest
from pipeline.stages import check
from pipeline.store import image_files
from pipeline.store.edits import take_in
from pipeline.store.history.undo import find, undo
from pipeline.store.image_files import take_in_images
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.placement import PlacementReason
from pipeline.store.running.runner import run_stage


@pytest.fixture
def made(tmp_path):
    for number in range(3):
        save(painted(number), tmp_path / f"source/Lumi/{number}.png")
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, tmp_path / "source", link="copy")
    return manifest


PATH = "images/Lumi/1.png"


def content(manifest):
    return {image.path: image.content for image in manifest.images()}


def edit(manifest, seed=9, path=PATH):
    """Save other pixels in place, of whatever size, with a time of its own."""
    save(painted(seed), manifest.root / path)
    os.utime(manifest.root / path, ns=(seed * 10**9, seed * 10**9))


def test_a_set_that_was_just_made_is_not_read_again(made, monkeypatch):
    monkeypatch.setattr(image_files, "digest_if_readable", lambda path: pytest.fail(f"{path} was read"))
    assert take_in_images(made) == () and take_in(made) == ()


def test_an_edited_image_is_taken_in_once_as_what_it_is_and_measured_anew(made):
    run_stage(made, check.STAGE, check.Options(), quiet)
    before = content(made)
    edit(made)
    outcome = run_stage(made, check.STAGE, check.Options(), quiet)
    assert outcome.warnings == (f"images edited in the set, taken in as they are now: 1, such as {PATH}",)
    now = content(made)
    assert now[PATH] == file_digest(made.root / PATH) != before[PATH]
    assert {path: each for path, each in now.items() if path != PATH} == {p: c for p, c in before.items() if p != PATH}
    assert now[PATH] in made.measurements() and before[PATH] in made.measurements()
    (row,) = [row for row in made.decisions("imported").values() if row.value == PATH]
    assert row.reason == PlacementReason.EDITED_IN_SET
    again = run_stage(made, check.STAGE, check.Options(), quiet)
    assert again.fresh and not again.warnings


def test_what_is_put_back_is_the_content_it_was(made):
    original, before = (made.root / PATH).read_bytes(), content(made)
    edit(made)
    assert take_in_images(made) == (PATH,)
    (made.root / PATH).write_bytes(original)
    os.utime(made.root / PATH, ns=(77 * 10**9, 77 * 10**9))
    assert take_in_images(made) == (PATH,) and content(made) == before


def test_a_new_time_alone_is_read_once_and_changes_nothing(made, monkeypatch):
    os.utime(made.root / PATH, ns=(5 * 10**9, 5 * 10**9))
    read, real = [], image_files.digest_if_readable
    monkeypatch.setattr(image_files, "digest_if_readable", lambda path: read.append(path.name) or real(path))
    assert take_in_images(made) == () == take_in_images(made) and read == ["1.png"]


def test_flatten_again_leaves_the_edit_and_a_changed_source_of_another_image_comes(made, tmp_path):
    edit(made)
    save(painted(20), tmp_path / "source/Lumi/2.png")
    run_flatten(made, tmp_path / "source", link="copy")
    now = content(made)
    assert now[PATH] == file_digest(made.root / PATH)
    assert now["images/Lumi/2.png"] == file_digest(tmp_path / "source/Lumi/2.png")


def test_an_edit_through_a_hard_link_is_noticed_too(tmp_path):
    save(painted(1), tmp_path / "source/Lumi/1.png")
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, tmp_path / "source", link="hardlink")
    data = save(painted(5), tmp_path / "other.png").read_bytes()
    with (manifest.root / PATH).open("r+b") as stream:
        stream.truncate(0)
        stream.write(data)
    os.utime(manifest.root / PATH, ns=(9 * 10**9, 9 * 10**9))
    assert take_in_images(manifest) == (PATH,)


def test_the_edit_is_a_run_that_a_person_can_see(made):
    edit(made)
    take_in(made)
    run = made.runs()[-1]
    assert run.stage == "edits" and run.counts == {"edited_in_set": 1}
    undo(made, find(made, run.id))
    assert take_in_images(made) == (PATH,), "the file still holds the edit, whatever the record says"


def test_missing_images_and_foreign_files_are_none_of_its_business(made):
    (made.root / PATH).unlink()
    (made.root / "images/Lumi/stranger.png").write_bytes(b"x")
    assert take_in_images(made) == ()
