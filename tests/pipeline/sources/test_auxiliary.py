"""Masks belong to their images, and what systems keep for themselves is no image; each with its reason."""

import zipfile

import pytest
from archive_files import png
from decided import said
from painted_sets import flatten_options, painted, quiet, run_flatten, save

from pipeline.sources.auxiliary import is_housekeeping, with_masks
from pipeline.sources.source_file import IMAGE, Found
from pipeline.stages import flatten
from pipeline.store.history.undo import newest, undo
from pipeline.store.manifest import Manifest
from pipeline.store.running.runner import run_stage


def reasons(folder, *sources):
    manifest = Manifest.open(folder / "set", create=True)
    outcome = run_flatten(manifest, *sources)
    rows = {path.rpartition("/")[2]: said(row) for path, row in manifest.decisions("imported").items()}
    return rows, {image.source.rpartition("/")[2] for image in manifest.images()}, outcome


@pytest.mark.parametrize(
    ("mask", "of"),
    [
        ("a-masklabel.png", "a.jpg"),
        ("A_MASK.png", "a.jpg"),
        ("a.mask.webp", "a.jpg"),
        ("a-condlabel.png", "a.jpg"),
        ("masks/a.png", "a.jpg"),
        ("a_masked.png", None),
        ("b-mask.png", None),
        ("-mask.png", None),
        ("other/a-mask.png", None),
    ],
)
def test_a_mask_is_named_after_an_image_beside_it(mask, of):
    found = with_masks([Found("/s/a.jpg", "s", IMAGE), Found(f"/s/{mask}", "s", IMAGE)])
    assert found[0].problem is None
    assert said(found[1].problem) == (f"mask of another image: of {of}" if of else "")


def test_masks_and_folders_of_systems_are_rows_and_not_trained_on(tmp_path):
    source = tmp_path / "source"
    for number, name in enumerate(["x/a.png", "x/a-masklabel.png", "x/@eaDir/a.png/thumb.jpg", "__MACOSX/x/b.png"]):
        save(painted(number), source / name)
    save(painted(7), source / "x/Lightroom Previews.lrdata/1/2.jpg")
    save(painted(8), source / "x/._a.png")
    save(painted(9), source / ".thumbnails/a.png")
    rows, images, outcome = reasons(tmp_path, source)
    assert images == {"a.png"}
    assert rows["a-masklabel.png"] == "mask of another image: of a.png"
    assert (
        rows["@eaDir"]
        == rows["__MACOSX"]
        == rows["Lightroom Previews.lrdata"]
        == "folder of a system or program, not read"
    )
    assert rows["._a.png"] == rows[".thumbnails"] == "hidden"
    assert any("are not trained on: 1" in words for words in outcome.plan.warnings)


def test_the_same_holds_in_an_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as packed:
        for number, name in enumerate(("x/a.png", "x/a_mask.png", "@eaDir/a.png", "x/._a.png")):
            packed.writestr(name, png(number))
    _, images, _ = reasons(tmp_path, tmp_path / "p.zip")
    assert images == {"a.png"}


def test_folders_of_a_persons_are_none():
    assert not any(map(is_housekeeping, ("previews", "thumbnails", "recycle", "characters")))


def again(manifest, *sources):
    return run_stage(manifest, flatten.STAGE, flatten_options(*sources), quiet, force=True)


def mask_of(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in (root / "masks").rglob("*.png")}


def test_a_mask_comes_into_the_set_beside_its_image_and_follows_its_source(tmp_path):
    source = tmp_path / "source"
    save(painted(0), source / "x/a.jpg")
    save(painted(1), source / "x/a-masklabel.png")
    save(painted(2), source / "y/masks/b.png")
    save(painted(3), source / "y/b.png")
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, source)
    place = "masks/x/a.png"
    assert mask_of(manifest.root).keys() == {place, "masks/y/b.png"}
    row = manifest.decisions("imported")[str(source / "x/a-masklabel.png")]
    assert (row.value, said(row)) == (place, "mask of another image: of a.jpg")
    assert {image.path for image in manifest.images()} == {"images/x/a.jpg", "images/y/b.png"}
    (manifest.root / place).write_bytes(b"edited by a person")
    assert again(manifest, source).changed == 0
    assert mask_of(manifest.root)[place] == b"edited by a person"
    save(painted(4), source / "x/a-masklabel.png")
    again(manifest, source)
    assert mask_of(manifest.root)[place] == (source / "x/a-masklabel.png").read_bytes()
    undo(manifest, newest(manifest))
    assert mask_of(manifest.root)[place] == b"edited by a person"


def test_a_mask_whose_image_has_no_place_is_a_row_without_one(tmp_path):
    source = tmp_path / "source"
    save(painted(0), source / "x/a.png")
    save(painted(1), source / "x/a-mask.png")
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, source)
    (manifest.root / "images/x/a.png").unlink()
    run_flatten(manifest, source, prune=True)
    assert manifest.decisions("imported")[str(source / "x/a-mask.png")].value is None
