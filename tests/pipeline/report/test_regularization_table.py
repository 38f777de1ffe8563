"""The report shows every regularization image there is, generated or user-supplied, as what it is."""

from pathlib import Path

import pytest
from decided import decided

from pipeline.report.dataset.facts import collect
from pipeline.report.dataset.page import render, report_of
from pipeline.store.manifest import Manifest
from pipeline.store.records import Image
from pipeline.store.values.bucket import Bucket
from pipeline.store.values.regularization import RegularizationAssignment, RegularizationImage

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def manifest(tmp_path: Path):
    manifest = Manifest.open(tmp_path / "set", create=True)
    with manifest.transaction():
        run = manifest.begin_run("flatten", {})
        manifest.put_images([Image(f"images/a/{name}.png", "a", name, name, 1, "copy") for name in "xy"], run)
        manifest.finish_run(run, {})
    yield manifest
    manifest.close()


def decide(manifest: Manifest, **values) -> None:
    with manifest.transaction():
        rows = [decided(f"images/a/{name}.png", "regularization", value) for name, value in values.items()]
        manifest.put_decisions(manifest.begin_run("regularize", {}), ("regularization",), rows)


def generated(*paths: str, caption: str = "1girl", **more) -> RegularizationAssignment:
    return RegularizationAssignment(tuple(RegularizationImage(path, caption, (64, 64), **more) for path in paths))


def words(manifest: Manifest) -> str:
    return render(report_of(manifest))


def test_every_reg_image_of_an_image_is_a_fact(manifest):
    decide(manifest, x=generated("r/1.png", "r/2.png", "r/3.png"), y=generated("r/4.png", "r/5.png", "r/6.png"))
    facts = collect(manifest)
    assert (facts.pair_count, facts.reg_image_count) == (2, 6)
    assert facts.pairs[0].reg_images == tuple(manifest.root / f"r/{number}.png" for number in (1, 2, 3))
    shown = words(manifest)
    assert "2 images have 6 regularization images, in rotation" in shown
    assert "regularization image 1" in shown and "regularization image 2" in shown and "and 1 more in rotation" in shown


def test_one_reg_image_each_is_reported_as_such(manifest):
    decide(manifest, x=generated("r/1.png"), y=generated("r/2.png"))
    assert "2 images have a regularization image:" in words(manifest) and "its regularization image" in words(manifest)
    assert "more in rotation" not in words(manifest)


def test_user_supplied_images_are_counted_once_and_not_called_generated(manifest):
    supplied = {"matched": False, "bucket": Bucket.whole((64, 64))}
    decide(manifest, x=generated("r/1.png", "r/2.png", "r/1.png", **supplied), y=generated("r/2.png", **supplied))
    facts = collect(manifest)
    assert (facts.pair_count, facts.reg_image_count) == (2, 2) and len(facts.pairs[0].reg_images) == 2
    shown = words(manifest)
    assert "2 images are trained beside 2 user-supplied regularization images of the class, in rotation" in shown
    assert "base model generates" not in shown and ">user-supplied<" in shown and "user-supplied 2" in shown


def test_no_caption_becomes_markup(manifest):
    decide(manifest, x=generated(f"r/{EVIL}.png", "r/2.png", "r/3.png", "r/4.png", caption=EVIL))
    assert EVIL not in words(manifest) and "&lt;script&gt;" in words(manifest)
