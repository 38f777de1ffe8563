"""What regularization twins are planned: as many as asked for, each with a seed and a file of its own."""

from pathlib import Path

import pytest

from pipeline.errors import PrepError
from pipeline.manifest import Manifest
from pipeline.records import Decision, Image
from pipeline.stages import regularize
from pipeline.twins import every_twin, twin_path, twin_paths


@pytest.fixture
def manifest(tmp_path: Path):
    """Three pictures, two of which have names like those of twins."""
    manifest = Manifest.open(tmp_path / "set", create=True)
    images, rows = [], []
    for name in ("a.jpg", "a-2.png", "B.png"):
        path = f"images/Lumi/{name}"
        images.append(Image(path, "Lumi", path, name, 1, "copy"))
        rows.append(Decision(path, "bucket", {"size": [64, 48], "scaled": [64, 48], "crop": [0, 0, 64, 48]}, "nearest"))
        rows.append(Decision(path, "caption", f"Lumi, {name}", "tags"))
    with manifest.transaction():
        run = manifest.begin_run("test", {})
        manifest.put_images(images)
        manifest.put_decisions(run, ("bucket", "caption"), rows)
        manifest.finish_run(run, {})
    yield manifest
    manifest.close()


def planned(manifest: Manifest, **options) -> dict[str, list[dict]]:
    rows = regularize.plan(manifest, regularize.Options(base="miniature", **options)).decisions
    return {row.path.rpartition("/")[2]: every_twin(row.value) for row in rows}


def test_one_twin_is_planned_as_ever(manifest):
    rows = regularize.plan(manifest, regularize.Options(base="miniature", seed=7)).decisions
    value = next(row.value for row in rows if row.path.endswith("B.png"))
    assert value == {"path": "regularization/Lumi/B.png", "caption": "Lumi, B.png", "size": [64, 48], "seed": 7}


def test_every_twin_of_a_picture_has_a_seed_of_its_own_and_all_else_in_common(manifest):
    found = planned(manifest, count=3, seed=7)
    for name, twins in found.items():
        assert [twin["seed"] for twin in twins] == [7, 8, 9]
        assert {twin["caption"] for twin in twins} == {f"Lumi, {name}"}
        assert all(twin["size"] == [64, 48] for twin in twins)
    assert [twin["path"] for twin in found["B.png"]] == [
        "regularization/Lumi/B.png",
        "regularization/Lumi/B-2.png",
        "regularization/Lumi/B-3.png",
    ]


def test_own_seeds_are_shared_by_no_two_twins(manifest):
    seeds = [twin["seed"] for twins in planned(manifest, count=4, seeds="own").values() for twin in twins]
    assert len(set(seeds)) == 12


def test_no_twin_takes_the_name_of_another(manifest):
    paths = [twin["path"] for twins in planned(manifest, count=3).values() for twin in twins]
    assert len({path.casefold() for path in paths}) == 9
    assert "regularization/Lumi/a-2.png" in paths and "regularization/Lumi/a--2.png" in paths
    assert planned(manifest, count=3)["a-2.png"][0]["path"] == "regularization/Lumi/a-2.png"


def test_names_that_differ_in_capitals_alone_are_kept_apart():
    found = twin_paths(["images/x/A.png", "images/x/a-2.png", "images/x/A-2.jpg"], 2)
    later = [twins[1].casefold() for twins in found.values()]
    assert len({*later, twin_path("images/x/A.png").casefold()}) == 4


def test_more_twins_leave_the_first_ones_as_they_are(manifest):
    one, three = planned(manifest), planned(manifest, count=3)
    assert all(three[name][:1] == twins for name, twins in one.items())


def test_the_evidence_names_all_seeds(manifest):
    row = regularize.plan(manifest, regularize.Options(base="miniature", count=2, seed=1)).decisions[0]
    assert row.evidence == "seeds 1, 2, 25 DDIM steps, guidance 7"


def test_a_twin_that_is_gone_is_missed_whichever_it_is(manifest):
    plan = regularize.plan(manifest, regularize.Options(base="miniature", count=2))
    with manifest.transaction():
        manifest.put_decisions(manifest.begin_run("regularize", {}), plan.fields, plan.decisions)
    for row in plan.decisions:
        for twin in every_twin(row.value):
            (manifest.root / twin["path"]).parent.mkdir(parents=True, exist_ok=True)
            (manifest.root / twin["path"]).write_bytes(b"x")
    options = regularize.Options(base="miniature", count=2)
    assert regularize.missing(manifest, options) == ""
    (manifest.root / "regularization/Lumi/B-2.png").unlink()
    assert regularize.missing(manifest, options) == "1 twins are not there, such as regularization/Lumi/B-2.png"


@pytest.mark.parametrize("count", [0, -1, 1001])
def test_a_count_out_of_range_is_refused(count):
    with pytest.raises(PrepError, match=f"count is {count}"):
        regularize.Options(count=count)


def test_a_twin_decision_names_the_first_and_what_the_others_have_instead():
    value = {"path": "a", "caption": "x", "seed": 1, "more": [{"path": "b", "seed": 2}, {"path": "c", "caption": "y"}]}
    assert every_twin(value) == [
        {"path": "a", "caption": "x", "seed": 1},
        {"path": "b", "caption": "x", "seed": 2},
        {"path": "c", "caption": "y", "seed": 1},
    ]
