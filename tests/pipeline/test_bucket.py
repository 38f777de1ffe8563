import pytest
from painted_sets import painted, quiet, run_flatten, save

from pipeline.errors import PrepError
from pipeline.images import load_cropped
from pipeline.stage import run_stage
from pipeline.stages import bucket, check

MINIATURE = {"resolution": 64, "step": 8}


def test_every_kept_picture_has_one_bucket_that_the_decoder_can_follow(checked):
    run_stage(checked, bucket, bucket.Options(**MINIATURE), quiet)
    rows = checked.decisions("bucket")
    assert set(rows) == {image.path for image in checked.kept()}
    for path, row in rows.items():
        assert load_cropped(checked.root / path, row.value).size == tuple(row.value["size"])
        assert set(row.value) == {"size", "scaled", "crop", "loss"}


def test_painted_framings_lose_nothing(checked):
    plan = bucket.plan(checked, bucket.Options(**MINIATURE))
    assert {(row.value["loss"], row.reason) for row in plan.decisions} == {(0.0, "reduced")}
    assert sum(row["pictures"] for row in plan.table) == 5


def test_the_same_input_gives_the_same_plan_and_planning_twice_changes_nothing(checked):
    options = bucket.Options(**MINIATURE)
    run_stage(checked, bucket, options, quiet)
    plan = bucket.plan(checked, options)
    assert plan == bucket.plan(checked, options) and not checked.changes(plan.fields, plan.decisions)
    assert run_stage(checked, bucket, options, quiet).fresh


def test_a_picture_that_check_drops_loses_its_bucket_and_loosening_brings_it_back(checked):
    options = bucket.Options(**MINIATURE)
    run_stage(checked, check, check.Options(drop=("images/artists~alder/x.png",)), quiet)
    run_stage(checked, bucket, options, quiet)
    assert len(checked.decisions("bucket")) == 4
    run_stage(checked, check, check.Options(), quiet)
    run_stage(checked, bucket, options, quiet)
    assert "images/artists~alder/x.png" in checked.decisions("bucket")


def test_reasons_and_evidence_say_what_happens_to_the_picture(flattened, source):
    save(painted(1, 4).resize((300, 310)), source / "sizes/crop.png")
    save(painted(2, 4).resize((512, 512)), source / "sizes/same.png")
    run_flatten(flattened, source)
    run_stage(flattened, check, check.Options(), quiet)
    rows = {row.path: row for row in bucket.plan(flattened, bucket.Options()).decisions}
    assert rows["images/sizes/same.png"].reason == "size as it is"
    assert rows["images/sizes/crop.png"].reason == "enlarged and cropped"
    assert rows["images/sizes/crop.png"].evidence == "300×310 at 1.71 to 512×512, 3.2% cut away"


def test_warnings_name_short_buckets_large_crops_and_strong_enlargement(flattened, source):
    save(painted(3, 3).resize((700, 180)), source / "wide/w.png")
    run_flatten(flattened, source)
    run_stage(flattened, check, check.Options(), quiet)
    notes = bucket.plan(flattened, bucket.Options(batch_size=4, resolution=512, min_side=512, max_side=576)).notes
    short = bucket.plan(flattened, bucket.Options(batch_size=4)).notes
    assert any("has 1 of the 4 pictures of a batch, such as images/wide/w.png" in note for note in short)
    assert any("lose more than 20% to the crop, most of all images/wide/w.png" in note for note in notes)
    assert any("enlarged more than 2 times" in note for note in notes)


def test_without_enlarging_no_picture_grows(checked):
    plan = bucket.plan(checked, bucket.Options(enlarge=False))
    assert all("enlarged" not in row.reason for row in plan.decisions)


def test_unmeasured_pictures_are_an_error_that_names_the_remedy(flattened):
    with pytest.raises(PrepError, match="5 pictures were not measured") as caught:
        bucket.plan(flattened, bucket.Options())
    assert caught.value.hint.startswith("run: prep check")


def test_a_set_without_kept_pictures_says_so(checked):
    run_stage(checked, check, check.Options(drop=("images/*",)), quiet)
    notes = bucket.plan(checked, bucket.Options()).notes
    assert notes == ("no picture is kept, so there is nothing to give a size to",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": 7}, "step is 7"),
        ({"resolution": 32}, "resolution is 32, below the step"),
        ({"min_side": 1024}, "min_side is 1024"),
        ({"max_side": 256}, "max_side is 256"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_options_out_of_range_are_told(options, message):
    with pytest.raises(PrepError, match=message):
        bucket.Options(**options)
