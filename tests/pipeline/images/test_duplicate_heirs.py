"""What people gave a copy that is dropped is not lost: it is the kept image's, or a choice that is reported."""

import json

import pytest
from painted_sets import painted, quiet, run_flatten, save

from pipeline.images.duplicate_heirs import Inherited, heirs, inherited, words_on
from pipeline.stages import balance, check, curate
from pipeline.store.manifest import Manifest
from pipeline.store.running.runner import run_stage
from pipeline.store.wording import figures

KEPT, DROPPED = "images/Lumi/large.png", "images/Lumi/small.jpg"


@pytest.fixture
def source(tmp_path):
    save(painted(1, 8), tmp_path / "source/Lumi/large.png")
    painted(1, 6).save(tmp_path / "source/Lumi/small.jpg", quality=80)
    save(painted(2, 8), tmp_path / "source/Lumi/other.png")
    return tmp_path / "source"


def made(source, folder="set"):
    manifest = Manifest.open(source.parent / folder, create=True)
    run_flatten(manifest, source)
    run_stage(manifest, check.STAGE, check.Options(), quiet)
    assert heirs(manifest) == {KEPT: (DROPPED,)}
    return manifest


def curated(manifest):
    outcome = run_stage(manifest, curate.STAGE, curate.Options(tagger="none"), quiet)
    return manifest.decisions("caption"), outcome.plan.warnings


def test_a_caption_of_the_dropped_copy_goes_to_the_kept_image_and_is_said(source):
    (source / "Lumi/small.txt").write_text("Lumi, by hand")
    captions, warnings = curated(made(source))
    assert captions[KEPT].value == "Lumi, by hand"
    assert figures(captions[KEPT]) == f"that of its copy {DROPPED}"
    assert f"captions of dropped copies, now of the image that is kept: 1, such as {KEPT} from {DROPPED}" in warnings
    assert DROPPED not in captions


def test_the_kept_images_own_caption_wins_and_another_is_a_choice_that_is_reported(source):
    (source / "Lumi/large.txt").write_text("Lumi, mine")
    (source / "Lumi/small.txt").write_text("Lumi, another")
    captions, warnings = curated(made(source))
    assert captions[KEPT].value == "Lumi, mine"
    assert any(f"are not used: 1, such as {DROPPED} beside {KEPT}" in words for words in warnings)
    (source / "Lumi/small.txt").write_text("Lumi, mine")
    _, warnings = curated(made(source, "again"))
    assert not any("dropped copies" in words for words in warnings), "the same words are no choice"


def test_tag_edits_and_board_tags_and_repeats_come_along(source):
    (source / "Lumi/small.jpg.json").write_text(
        json.dumps({"category": "danbooru", "tags": ["red_scarf"], "repeats": 7})
    )
    (source / "Lumi/small.json").write_text(json.dumps({"repeats": 7}))
    manifest = made(source)
    run_stage(manifest, curate.STAGE, curate.Options(), quiet)
    assert "red scarf" in manifest.decisions("caption")[KEPT].value
    run_stage(manifest, balance.STAGE, balance.Options(), quiet)
    assert manifest.decisions("repeats")[KEPT].value.exact == 7.0


def test_what_is_inherited_is_the_first_copys_and_what_differs_is_refused():
    copies = {"k": ("a", "b", "c"), "own": ("d",), "none": ("e",)}
    found = inherited(copies, {"b": 1, "c": 2, "own": 5, "d": 5}, lambda one, other: one == other)
    assert found == Inherited({"k": (1, "b")}, (("k", "c"),))
    assert list(words_on("x", Inherited({}, ()))) == []
