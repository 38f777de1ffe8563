"""Sources and images that change, move or vanish between two runs."""

import shutil

import pytest
from flattened_sets import placed
from painted_sets import flatten_options, painted, run_flatten, save

from pipeline.core.errors import PrepError
from pipeline.stages import flatten
from pipeline.store.wording import phrase


def test_an_image_lost_from_the_set_is_brought_back(flattened, source):
    path = flattened.root / "images/artists~alder/x.png"
    path.unlink()
    assert "x.png" in flatten.missing(flattened, flatten_options(source))
    assert not run_flatten(flattened, source).fresh
    assert path.exists() and run_flatten(flattened, source).fresh


def test_an_image_edited_in_the_set_stays_edited(flattened, source):
    path = flattened.root / "images/artists~alder/x.png"
    path.unlink()
    save(painted(77, 2), path)
    edited = path.read_bytes()
    for _ in range(2):
        run_flatten(flattened, source)
        assert path.read_bytes() == edited
        assert placed(flattened, source)["artists/alder/x.png"][1] == "edited in the set"
        save(painted(50), source / "new" / "image.png")


def test_a_source_that_changed_is_brought_again(flattened, source):
    file = source / "artists/alder/x.png"
    file.unlink()
    save(painted(78, 2), file)
    run_flatten(flattened, source)
    assert (flattened.root / "images/artists~alder/x.png").read_bytes() == file.read_bytes()


def test_an_image_whose_source_vanished_stays_and_its_row_says_so(flattened, source):
    (source / "artists/alder/x.png").unlink()
    for _ in range(2):
        plan = run_flatten(flattened, source, repeats_in_names=bool(_)).plan
        assert placed(flattened, source)["artists/alder/x.png"] == ("images/artists~alder/x.png", "source vanished")
        assert "images that stay in the set though their source is gone; --prune takes them out: 1" in plan.warnings
    (flattened.root / "images/artists~alder/x.png").unlink()
    for _ in range(2):
        run_flatten(flattened, source, repeats_in_names=bool(_))
        assert placed(flattened, source)["artists/alder/x.png"] == (None, "source vanished")
    assert "images/artists~alder/x.png" not in {image.path for image in flattened.images()}


def test_an_image_that_moved_to_another_concept_moves_with_its_caption(flattened, source):
    (source / "characters/Lumi/a.txt").unlink()
    shutil.move(source / "characters/Lumi/a.png", source / "artists/alder/moved.png")
    run_flatten(flattened, source)
    paths = {image.path: image.concept for image in flattened.images()}
    assert paths["images/artists~alder/moved.png"] == "artists/alder" and "images/characters~Lumi/a.png" not in paths
    assert placed(flattened, source)["characters/Lumi/a.png"] == (None, "moved")
    assert flattened.manual_captions()["images/artists~alder/moved.png"] == "lumi, 1girl\n"


def test_a_whole_source_folder_may_go_once_the_set_has_its_images(flattened, source):
    shutil.rmtree(source)
    run_flatten(flattened, source)
    assert len(flattened.images()) == 5
    assert {phrase(row) for row in flattened.decisions("imported").values()} == {"source vanished"}


def test_a_source_that_was_never_there_is_an_error(flattened, tmp_path):
    with pytest.raises(PrepError, match=r"no folder .*typo"):
        run_flatten(flattened, tmp_path / "typo")
    with pytest.raises(PrepError, match="no source folders"):
        run_flatten(flattened)


def test_images_of_a_source_no_longer_listed_leave_the_set_but_not_the_disk(flattened, source, tmp_path):
    save(painted(60), tmp_path / "other/z.png")
    run_flatten(flattened, tmp_path / "other")
    assert [image.concept for image in flattened.images()] == ["other"]
    assert placed(flattened, source)["artists/alder/x.png"] == (None, "no longer among the sources")
    assert (flattened.root / "images/artists~alder/x.png").exists()


def test_an_image_whose_source_folder_moved_keeps_its_place_and_caption(flattened, source, tmp_path):
    before = {image.path: image.content for image in flattened.images()}
    (flattened.root / "images/characters~Lumi/b.txt").write_text("by hand", encoding="utf-8")
    moved = source.rename(tmp_path / "elsewhere")
    outcome = run_flatten(flattened, moved)
    assert {image.path: image.content for image in flattened.images()} == before and not outcome.plan.links
    assert all(image.source.startswith(str(moved)) for image in flattened.images())
    assert flattened.manual_captions()["images/characters~Lumi/b.png"] == "by hand"
    assert placed(flattened, source)["artists/alder/x.png"] == (None, "moved")
    plan = flatten.plan(flattened, flatten_options(moved))
    assert not flattened.changes(plan.fields, plan.decisions) and plan.images == flattened.images()
