"""Image folders and tar shards tell everything about each image."""

from __future__ import annotations

import io
import json
import re
import tarfile

import pytest
from export_sets import BUCKET, Workshop, export, tree
from PIL import Image as Pillow

from pipeline.export.layouts.imagefolder import METADATA

SPLITS = re.compile(
    r"(^|[-._ 0-9/])(train|training|test|testing|eval|evaluation|validation|valid|val|dev)[-._ 0-9]*(/|$)", re.I
)


def rows(folder):
    return [json.loads(line) for line in (folder / METADATA).read_text(encoding="utf-8").splitlines()]


def members(folder):
    """Member name → bytes, of every shard in order."""
    found = {}
    for shard in sorted(folder.glob("*.tar")):
        with tarfile.open(shard) as archive:
            found |= {info.name: archive.extractfile(info).read() for info in archive}
    return found


def test_the_metadata_tells_everything_about_each_image(tmp_path):
    shop = Workshop(tmp_path / "set")
    shop.add("characters/Lumi", "a.png", 'lumi, "quoted" 😀', repeats=2.5)
    shop.add("artists", "b.png", caption=None, bucket=None)
    export(shop.done(), tmp_path / "out", "imagefolder")
    assert rows(tmp_path / "out") == [
        {
            "file_name": "artists/b.png",
            "text": None,
            "concept": "artists",
            "repeats": 1.0,
            "repeat": 1,
            "width": None,
            "height": None,
        },
        {
            "file_name": "characters~Lumi/a.png",
            "text": 'lumi, "quoted" 😀',
            "concept": "characters/Lumi",
            "repeats": 2.5,
            "repeat": 2,
            "width": 64,
            "height": 64,
        },
    ]
    assert all((tmp_path / "out/train" / row["file_name"]).is_file() for row in rows(tmp_path / "out"))


@pytest.mark.parametrize("concept", ("test", "fan art test", "dev", "my-eval", "Val", "x_validation 2", "3test"))
def test_a_concept_called_like_a_split_does_not_make_one(tmp_path, concept):
    shop = Workshop(tmp_path / "set")
    shop.add(concept)
    export(shop.done(), tmp_path / "out", "imagefolder")
    (row,) = rows(tmp_path / "out")
    assert row["concept"] == concept
    assert not SPLITS.search(row["file_name"].rpartition("/")[0])


def test_a_concept_that_only_sounds_like_a_split_keeps_its_name(tmp_path):
    shop = Workshop(tmp_path / "set")
    shop.add("Testarossa")
    export(shop.done(), tmp_path / "out", "imagefolder")
    assert rows(tmp_path / "out")[0]["file_name"] == "Testarossa/a.png"


def test_a_concept_called_like_the_metadata_does_not_replace_it(tmp_path):
    shop = Workshop(tmp_path / "set")
    shop.add("metadata.jsonl")
    export(shop.done(), tmp_path / "out", "imagefolder")
    assert rows(tmp_path / "out")[0]["file_name"] == "_metadata.jsonl/a.png"


def test_a_sample_is_an_image_its_caption_and_its_facts_under_one_key(tmp_path):
    shop = Workshop(tmp_path / "set")
    path = shop.add("characters/Lumi", "a.b.png", "lumi, smile", repeats=2.5)
    manifest = shop.done()
    export(manifest, tmp_path / "out", "webdataset")
    found = members(tmp_path / "out")
    key = "characters~Lumi/a_b"
    assert list(found) == [f"{key}.png", f"{key}.json", f"{key}.txt"]
    assert found[f"{key}.png"] == (manifest.root / path).read_bytes()
    assert found[f"{key}.txt"] == b"lumi, smile\n"
    assert json.loads(found[f"{key}.json"]) == {
        "name": "a.b.png",
        "caption": "lumi, smile",
        "concept": "characters/Lumi",
        "repeats": 2.5,
        "repeat": 2,
        "width": 64,
        "height": 64,
        "content": manifest.images()[0].content,
    }


def test_keys_have_no_dots_and_are_never_shared(tmp_path):
    shop = Workshop(tmp_path / "set")
    for concept in ("v1.5", "v1_5"):
        for name in ("a.b.png", "a_b.png", "A_B.png"):
            shop.add(concept, name)
    export(shop.done(), tmp_path / "out", "webdataset")
    keys = [name.rpartition(".")[0] for name in members(tmp_path / "out") if name.endswith(".png")]
    assert len({key.lower() for key in keys}) == 6 and not any("." in key for key in keys)


def many(tmp_path):
    shop = Workshop(tmp_path / "set")
    for number in range(12):
        shop.add("a" if number < 6 else "b", f"{number}.png", "ä" * 300)
    return shop.done()


@pytest.mark.parametrize("resize", (False, True))
def test_no_shard_is_larger_than_asked_for_and_no_sample_is_torn(tmp_path, resize):
    manifest, limit = many(tmp_path), 60_000
    export(manifest, tmp_path / "out", "webdataset", shard_bytes=limit, resize=resize)
    shards = sorted((tmp_path / "out").glob("*.tar"))
    assert len(shards) > 1 and [shard.name for shard in shards] == [f"{number:06}.tar" for number in range(len(shards))]
    assert all(shard.stat().st_size <= limit for shard in shards)
    for shard in shards:
        with tarfile.open(shard) as archive:
            ends = [name.rpartition(".")[2] for name in archive.getnames()]
        assert ends == ["png", "json", "txt"] * (len(ends) // 3)


def test_an_image_larger_than_a_shard_has_one_alone_and_is_reported(tmp_path):
    planned = export(many(tmp_path), tmp_path / "out", "webdataset", shard_bytes=100)
    assert len(list((tmp_path / "out").glob("*.tar"))) == 12
    assert any(note.startswith("shards larger than asked for, as one image alone is: 12") for note in planned.warnings)


@pytest.mark.parametrize("resize", (False, True))
def test_the_same_set_gives_the_same_bytes(tmp_path, resize):
    manifest = many(tmp_path)
    for name in ("one", "other"):
        export(manifest, tmp_path / name, "webdataset", shard_bytes=60_000, resize=resize)
    assert tree(tmp_path / "one") == tree(tmp_path / "other")


def test_nothing_of_the_machine_is_in_a_shard(tmp_path):
    export(many(tmp_path), tmp_path / "out", "webdataset")
    with tarfile.open(tmp_path / "out/000000.tar") as archive:
        for info in archive:
            assert (info.mtime, info.uid, info.gid, info.uname, info.gname, info.mode) == (0, 0, 0, "", "", 0o644)


def test_concepts_are_mixed_over_the_shards(tmp_path):
    export(many(tmp_path), tmp_path / "out", "webdataset")
    concepts = [name.split("/")[0] for name in members(tmp_path / "out") if name.endswith(".png")]
    assert concepts != sorted(concepts)


def test_crops_lie_in_shards_as_png_of_the_training_size(tmp_path):
    shop = Workshop(tmp_path / "set")
    shop.add("x", "a.webp")
    export(shop.done(), tmp_path / "out", "webdataset", resize=True)
    found = members(tmp_path / "out")
    with Pillow.open(io.BytesIO(found["x/a.png"])) as crop:
        assert crop.size == BUCKET.size
    assert json.loads(found["x/a.json"])["name"] == "a.png"
