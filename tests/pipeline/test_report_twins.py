"""The report shows every twin there is, painted or given, as what it is."""

from pathlib import Path

import pytest

from pipeline.manifest import Manifest
from pipeline.records import Decision, Image
from pipeline.report.album import Album
from pipeline.report.facts import collect
from pipeline.report.tables import twins

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
        rows = [Decision(f"images/a/{name}.png", "twin", value, "test") for name, value in values.items()]
        manifest.put_decisions(manifest.begin_run("regularize", {}), ("twin",), rows)


def painted(*paths: str, **more) -> dict:
    first, *rest = paths
    value = {"path": first, "caption": "1girl", "size": [64, 64], **more}
    return value | ({"more": [{"path": path} for path in rest]} if rest else {})


def words(manifest: Manifest) -> str:
    return str(twins(collect(manifest), Album()))


def test_every_twin_of_a_picture_is_a_fact(manifest):
    decide(manifest, x=painted("r/1.png", "r/2.png", "r/3.png"), y=painted("r/4.png", "r/5.png", "r/6.png"))
    facts = collect(manifest)
    assert (facts.pair_count, facts.twin_count) == (2, 6)
    assert facts.pairs[0].twins == tuple(manifest.root / f"r/{number}.png" for number in (1, 2, 3))
    shown = words(manifest)
    assert "2 pictures have 6 twins, which take turns" in shown
    assert "twin 1" in shown and "twin 2" in shown and "and 1 more in turn" in shown


def test_one_twin_each_is_told_as_such(manifest):
    decide(manifest, x=painted("r/1.png"), y=painted("r/2.png"))
    assert "2 pictures have a twin:" in words(manifest) and "its twin" in words(manifest)
    assert "more in turn" not in words(manifest)


def test_given_pictures_are_counted_once_and_not_called_painted(manifest):
    given = {"matched": False, "bucket": {}}
    decide(manifest, x=painted("r/1.png", "r/2.png", "r/1.png", **given), y=painted("r/2.png", **given))
    facts = collect(manifest)
    assert (facts.pair_count, facts.twin_count) == (2, 2) and len(facts.pairs[0].twins) == 2
    shown = words(manifest)
    assert "2 pictures are shown beside 2 pictures of the class that you gave" in shown
    assert "base model paints" not in shown and ">given<" in shown and "given 2" in shown


def test_no_caption_becomes_markup(manifest):
    decide(manifest, x=painted(f"r/{EVIL}.png", "r/2.png", "r/3.png", "r/4.png", caption=EVIL))
    assert EVIL not in words(manifest) and "&lt;script&gt;" in words(manifest)
