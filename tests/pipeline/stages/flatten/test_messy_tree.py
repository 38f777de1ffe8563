"""A tree of everything that goes wrong is accounted for, file by file."""

import os
from pathlib import Path

from flattened_sets import everything, placed
from messy_tree import plant
from painted_sets import flatten_options, run_flatten

from pipeline.core.filenames import safe, same_file_key
from pipeline.stages import flatten
from pipeline.store.manifest import Manifest


def test_every_file_of_a_messy_tree_is_accounted_for_and_nothing_is_lost_or_overwritten(tmp_path):
    src = plant(tmp_path / "messy")
    before = everything(src)
    manifest = Manifest.open(tmp_path / "set", create=True)
    outcome = run_flatten(manifest, src)
    rows = [row.path for row in outcome.plan.decisions if row.field == "imported"]
    assert len(rows) == len(set(rows))
    above = {row.path for row in outcome.plan.decisions if row.field == "imported" and row.value is None}
    for path in before:
        assert (path in rows) != any(path.startswith(f"{folder}{os.sep}") for folder in above), path
    images = manifest.images()
    assert len({same_file_key(str(Path(image.path).with_suffix(""))) for image in images}) == len(images) > 80
    for image in images:
        place = manifest.root / image.path
        assert place.read_bytes() == Path(image.source).read_bytes() and not place.is_symlink()
        assert safe(place.name) == place.name or len(place.name.encode()) > 200
    known = {image.path for image in images} | {
        Path(path).with_suffix(".txt").as_posix() for path in manifest.manual_captions()
    }
    there = {path for path in (manifest.root / "images").rglob("*") if path.is_file()}
    assert {path.relative_to(manifest.root).as_posix() for path in there} == known
    assert everything(src) == before
    assert run_flatten(manifest, src).fresh
    again = flatten.plan(manifest, flatten_options(src))
    assert not manifest.changes(again.fields, again.decisions) and again.images == images and not again.links


def test_the_reasons_in_a_messy_tree_are_reported(tmp_path):
    src = plant(tmp_path / "messy")
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, src)
    found = placed(manifest, src)
    assert {name: found[name][1] for name in found if name.startswith(("odd/", "sidecars/", "archives/"))} == {
        "odd/lies.jpg": "imported",
        "odd/noname": "extension from content",
        "odd/odd.dat": "extension from content",
        "odd/text.png": "imported",
        "odd/empty.png": "imported",
        "odd/half.jpg": "imported",
        "odd/notes.pdf": "not an image",
        "odd/Makefile": "not an image",
        "odd/.DS_Store": "hidden",
        "odd/Thumbs.db": "not an image",
        **dict.fromkeys((f"sidecars/{stem}.png" for stem in "abcdefgh"), "imported"),
        "sidecars/a.webp": "renamed, name taken",
        "sidecars/a.txt": "caption imported",
        "sidecars/b.txt": "caption is not UTF-8",
        "sidecars/b.caption": "caption imported",
        "sidecars/c.txt": "caption is empty",
        "sidecars/d.png.txt": "caption imported",
        "sidecars/e.TXT": "caption imported",
        "sidecars/lonely.txt": "text without an image",
        "sidecars/a.json": "tags imported",
        "sidecars/f.png.json": "json not used",
        "sidecars/g.json": "json not used",
        "sidecars/alone.json": "metadata not used",
        "sidecars/meta_cap.json": "metadata imported",
        "sidecars/metadata.jsonl": "metadata names no image",
        "sidecars/list.csv": "metadata not used",
        "sidecars/multiply.txt": "multiply.txt imported",
        "sidecars/cond_dropout.txt": "EveryDream setting, not used",
        "sidecars/deep/multiply.txt": "multiply.txt holds no number above 0",
        "archives/pictures.zip": "archive; name it as a source to use it",
        "archives/shard.TAR": "archive; name it as a source to use it",
        "archives/other.7z": "archive of a kind that is not read",
    }
    assert manifest.manual_captions()["images/sidecars/a (2).webp"] == "both images of this stem"
    assert manifest.manual_captions()["images/sidecars/h.png"] == "from kohya's table"
    if "links/loop" in found:
        links = {
            name.removeprefix("links/"): reason for name, (_, reason) in found.items() if name.startswith("links/")
        }
        assert links == {
            "loop": "link loop",
            "self.png": "link loop",
            "broken.png": "broken link",
            "outside": "link leads out of its source",
            "passwd.png": "link leads out of its source",
            "inside.png": "imported",
            "again": "folder read already",
        }
