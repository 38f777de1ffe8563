import hashlib

import numpy as np
import pytest
from decided import decided
from painted_sets import painted, quiet, run_flatten, save
from PIL import Image

from pipeline.core.decoding.image_io import load_cropped
from pipeline.core.errors import PrepError
from pipeline.images.buckets.detail_profile import STRIPS, focus
from pipeline.images.buckets.fewer_buckets import FEW
from pipeline.stages import bucket, check
from pipeline.store.manifest import Manifest
from pipeline.store.records import Image as PILImage
from pipeline.store.records import Measurement
from pipeline.store.running.runner import run_stage
from pipeline.store.values.repeats import Repeats
from pipeline.store.wording import figures, phrase

MINIATURE = {"resolution": 64, "bucket_reso_steps": 8}
RIGHT = (bytes(28) + bytes([255] * 4) + bytes([255] * STRIPS)).hex()
"""A focus with all detail in the rightmost eighth."""


def measured(folder, *imgs):
    """The record of a set with images of these names, sizes and what else was measured; no files."""
    manifest = Manifest.open(folder / "made", create=True)
    images, known = [], []
    for name, size, more in imgs:
        content = hashlib.sha256(name.encode()).hexdigest()
        images.append(PILImage(f"images/x/{name}", "x", f"/pictures/{name}", content, 1, "copy"))
        known.append(Measurement(content, *size, **more))
    with manifest.transaction():
        manifest.put_images(images)
        manifest.put_measurements(known)
    return manifest


def test_every_kept_image_has_one_bucket_that_the_decoder_can_follow(checked):
    run_stage(checked, bucket.STAGE, bucket.Options(**MINIATURE), quiet)
    rows = checked.decisions("bucket")
    assert set(rows) == {image.path for image in checked.kept()}
    for path, row in rows.items():
        assert load_cropped(checked.root / path, row.value).size == row.value.size
        assert set(row.value.to_json()) == {"size", "scaled", "crop", "loss", "anchor"}


def test_painted_framings_lose_nothing(checked):
    plan = bucket.plan(checked, bucket.Options(**MINIATURE))
    assert {(row.value.loss, phrase(row)) for row in plan.decisions} == {(0.0, "downscaled")}
    assert sum(row["images"] for row in plan.table if row["bucket"] != "all") == 5


def test_the_same_input_gives_the_same_plan_and_planning_twice_changes_nothing(checked):
    options = bucket.Options(**MINIATURE)
    run_stage(checked, bucket.STAGE, options, quiet)
    plan = bucket.plan(checked, options)
    assert plan == bucket.plan(checked, options) and not checked.changes(plan.fields, plan.decisions)
    assert run_stage(checked, bucket.STAGE, options, quiet).fresh


def test_an_image_that_check_drops_loses_its_bucket_and_loosening_brings_it_back(checked):
    options = bucket.Options(**MINIATURE)
    run_stage(checked, check.STAGE, check.Options(drop=("images/artists~alder/x.png",)), quiet)
    run_stage(checked, bucket.STAGE, options, quiet)
    assert len(checked.decisions("bucket")) == 4
    run_stage(checked, check.STAGE, check.Options(), quiet)
    run_stage(checked, bucket.STAGE, options, quiet)
    assert "images/artists~alder/x.png" in checked.decisions("bucket")


def test_reasons_and_evidence_say_what_happens_to_the_image(flattened, source):
    save(painted(1, 4).resize((300, 310)), source / "sizes/crop.png")
    save(painted(2, 4).resize((512, 512)), source / "sizes/same.png")
    run_flatten(flattened, source)
    run_stage(flattened, check.STAGE, check.Options(), quiet)
    rows = {row.path: row for row in bucket.plan(flattened, bucket.Options()).decisions}
    assert phrase(rows["images/sizes/same.png"]) == "size as it is"
    assert phrase(rows["images/sizes/crop.png"]) == "upscaled and cropped"
    assert figures(rows["images/sizes/crop.png"]) == "300×310 at 1.71 to 512×512, 3.2% cropped"


def test_warnings_name_short_buckets_large_crops_and_strong_enlargement(flattened, source):
    save(painted(3, 3).resize((700, 180)), source / "wide/w.png")
    run_flatten(flattened, source)
    run_stage(flattened, check.STAGE, check.Options(), quiet)
    warnings = bucket.plan(
        flattened, bucket.Options(batch_size=4, resolution=512, min_bucket_reso=512, max_bucket_reso=576)
    ).warnings
    short = bucket.plan(flattened, bucket.Options(batch_size=4)).warnings
    assert any(
        "3 of 3 sizes cannot fill one batch of 4 in an epoch, such as 1024×256 with 1: images/wide/w.png" in note
        for note in short
    )
    assert any("lose more than 20% to the crop, most of all images/wide/w.png" in note for note in warnings)
    assert any("upscaled more than 2 times" in note for note in warnings)


def test_without_enlarging_no_image_grows(checked):
    plan = bucket.plan(checked, bucket.Options(upscale=False))
    assert all("upscaled" not in phrase(row) for row in plan.decisions)


def test_unmeasured_images_are_an_error_that_names_the_remedy(flattened):
    with pytest.raises(PrepError, match="5 images were not measured") as caught:
        bucket.plan(flattened, bucket.Options())
    assert caught.value.hint.startswith("run: prep check")


def test_a_set_without_kept_images_says_so(checked):
    run_stage(checked, check.STAGE, check.Options(drop=("images/*",)), quiet)
    warnings = bucket.plan(checked, bucket.Options()).warnings
    assert warnings == ("no image is kept, so there is nothing to give a size to",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bucket_reso_steps": 7}, "bucket_reso_steps is 7"),
        ({"resolution": 32}, "resolution is 32, below bucket_reso_steps"),
        ({"min_bucket_reso": 1024}, "min_bucket_reso is 1024"),
        ({"max_bucket_reso": 256}, "max_bucket_reso is 256"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"sheet_images": -1}, "sheet_images is -1"),
        ({"background": "whit"}, "background is 'whit'; did you mean white?"),
        ({"background": "#12345"}, "background is '#12345'"),
        (
            {"anchors": {"a": "top", "b": "up", "c": "2,2"}},
            "(?s)the anchor of b is 'up': expected.*anchor of c is '2,2'",
        ),
    ],
)
def test_options_out_of_range_are_reported(options, message):
    with pytest.raises(PrepError, match=message):
        bucket.Options(**options)


def test_crops_hold_on_to_what_they_are_reported_and_reason_and_evidence_say_so(tmp_path):
    long = (1000, 500), {"focus": RIGHT}
    manifest = measured(tmp_path, *((f"{name}.png", *long) for name in "abcde"))
    anchors = {"images/x/a.png": "left", "images/x/[bc].png": "0.4,0.5", "images/x/c.png": "centre"}
    options = bucket.Options(min_bucket_reso=512, max_bucket_reso=512, anchor="subject", anchors=anchors)
    rows = {row.path[-5]: row for row in bucket.plan(manifest, options).decisions}
    assert {name: row.value.crop for name, row in rows.items()} == {
        "a": (0, 0, 512, 512),
        "b": (154, 0, 666, 512),
        "c": (256, 0, 768, 512),
        "d": (512, 0, 1024, 512),
        "e": (512, 0, 1024, 512),
    }
    assert [rows[name].value.anchor for name in "abcd"] == ["left", "0.4,0.5", "centre", "subject"]
    assert [phrase(rows[name]) for name in "abcd"] == [
        "upscaled and cropped, left kept",
        "upscaled and cropped, point kept",
        "upscaled and cropped",
        "upscaled and cropped, subject kept",
    ]
    assert figures(rows["d"]) == "1000×500 at 1.02 to 512×512, 50.0% cropped, moved 256 px right"


def test_a_crop_from_the_top_keeps_the_upper_edge(tmp_path):
    manifest = measured(tmp_path, ("tall.png", (500, 1000), {}))
    (row,) = bucket.plan(manifest, bucket.Options(min_bucket_reso=512, max_bucket_reso=512, anchor="top")).decisions
    assert row.value.crop == (0, 0, 512, 512) and figures(row).endswith("moved 256 px up")


def test_images_without_a_measured_focus_stay_in_the_middle_and_are_reported(tmp_path):
    manifest = measured(tmp_path, ("old.png", (1000, 500), {}), ("new.png", (1000, 500), {"focus": RIGHT}))
    plan = bucket.plan(manifest, bucket.Options(anchor="subject", min_bucket_reso=512, max_bucket_reso=512))
    assert plan.decisions[1].value.crop == (256, 0, 768, 512)
    assert any(
        note.startswith("the detail of 1 of 2 images was not measured, such as images/x/old.png")
        and note.endswith("run: prep check SET --force")
        for note in plan.warnings
    )


def test_measuring_the_focus_again_makes_crops_stale_only_where_they_depend_on_it(tmp_path):
    manifest = measured(tmp_path, ("a.png", (1000, 500), {}))
    subject, middle = bucket.Options(anchors={"*": "subject"}), bucket.Options()
    for options, fresh in ((subject, False), (middle, True)):
        run_stage(manifest, bucket.STAGE, options, quiet)
        assert run_stage(manifest, bucket.STAGE, options, quiet).fresh
        (known,) = manifest.measurements().values()
        with manifest.transaction():
            manifest.put_measurements([Measurement(known.content, 1000, 500, focus=RIGHT if not fresh else "")])
        assert run_stage(manifest, bucket.STAGE, options, quiet).fresh is fresh


def test_an_anchor_that_fits_no_image_is_reported(tmp_path):
    manifest = measured(tmp_path, ("a.png", (1000, 500), {}))
    warnings = bucket.plan(manifest, bucket.Options(anchors={"images/y/*": "top"})).warnings
    assert (
        "anchors: no kept image fits 'images/y/*'; name it by its path in the set, such as images/x/a.png" in warnings
    )


def test_faces_that_names_tell_of_stay_in_the_crop(tmp_path):
    manifest = measured(
        tmp_path,
        ("face_100_250_120_200.png", (1000, 500), {}),
        ("plain.png", (1000, 500), {}),
        ("wide_500_250_900_100.png", (1000, 500), {}),
    )
    options = bucket.Options(min_bucket_reso=512, max_bucket_reso=512, faces_in_names=True)
    plan = bucket.plan(manifest, options)
    face, plain, wide = plan.decisions
    assert face.value.crop == (40, 0, 552, 512) and face.value.anchor == "face", "it starts at 40 · 1.024"
    assert phrase(face) == "upscaled and cropped, face kept"
    assert plain.value.crop == wide.value.crop == (256, 0, 768, 512) and plain.value.anchor == "centre"
    assert any("1 of 2 faces are larger than their crop, such as in images/x/wide" in note for note in plan.warnings)
    untold = bucket.plan(manifest, bucket.Options(min_bucket_reso=512, max_bucket_reso=512)).decisions[0]
    assert untold.value.crop == (256, 0, 768, 512)


def test_faces_asked_for_where_no_name_tells_of_one_are_reported(tmp_path):
    manifest = measured(tmp_path, ("a_9000_1_5_5.png", (1000, 500), {}))
    warnings = bucket.plan(manifest, bucket.Options(faces_in_names=True)).warnings
    assert any(note.startswith("faces_in_names: no file name ends in a face") for note in warnings)


def test_only_transparent_images_have_a_background_and_it_is_what_is_decoded(tmp_path):
    manifest = measured(tmp_path, ("a.png", (512, 512), {"transparent": True}), ("b.png", (512, 512), {}))
    clear, opaque = bucket.plan(manifest, bucket.Options(background="Navy")).decisions
    assert clear.value.background == "#000080" and not opaque.value.background
    file = save(Image.new("RGBA", (512, 512), (0, 0, 0, 0)), tmp_path / "clear.png")
    assert load_cropped(file, clear.value).getpixel((0, 0)) == (0, 0, 128)


@pytest.mark.parametrize(
    ("text", "colour"), [("white", "#ffffff"), ("#AbCdEf", "#abcdef"), ("grey", "#808080"), ("Gray", "#808080")]
)
def test_colours_are_names_or_hexadecimal(text, colour):
    assert bucket.colour(text) == colour


def test_the_table_counts_exposures_with_repeats_last_batches_enlargement_and_cuts(tmp_path):
    manifest = measured(
        tmp_path, *((f"{number}.png", (600, 500), {}) for number in range(5)), ("s.png", (256, 256), {})
    )
    rows = [decided(f"images/x/{n}.png", "repeats", Repeats(1.5, 1)) for n in range(5)]
    rows.append(decided("images/x/s.png", "repeats", Repeats(8.25, 8)))
    with manifest.transaction():
        manifest.put_decisions(manifest.begin_run("balance", {}), ("repeats",), rows)
    plan = bucket.plan(manifest, bucket.Options(batch_size=4))
    assert plan.table == (
        {
            "bucket": [512, 512],
            "images": 1,
            "shown": 8.25,
            "last batch": "full",
            "upscaled": 1,
            "at most": "2.00 times",
            "cropped": "0.0%",
            "worst": "0.0%",
        },
        {
            "bucket": [576, 448],
            "images": 5,
            "shown": 7.5,
            "last batch": "1 of 4",
            "upscaled": 0,
            "at most": "",
            "cropped": "6.7%",
            "worst": "6.7%",
        },
        {
            "bucket": "all",
            "images": 6,
            "shown": 15.75,
            "last batch": "1 short",
            "upscaled": 1,
            "at most": "2.00 times",
            "cropped": "5.6%",
            "worst": "6.7%",
        },
    )
    assert any(
        note.startswith("1 of 2 sizes end an epoch with a batch that is not full, 1 of 13 exposures (7.7%); prep train")
        for note in plan.warnings
    )


def test_repeats_change_the_report_and_no_crop(tmp_path):
    manifest = measured(tmp_path, ("a.png", (600, 500), {}))
    before = bucket.plan(manifest, bucket.Options())
    row = decided("images/x/a.png", "repeats", Repeats(3.0, 3))
    with manifest.transaction():
        manifest.put_decisions(manifest.begin_run("balance", {}), ("repeats",), [row])
    after = bucket.plan(manifest, bucket.Options())
    assert after.decisions == before.decisions and after.table[0]["shown"] == 3.0


def test_a_shorter_bucket_list_that_loses_nothing_is_proposed_and_then_no_other(tmp_path):
    aspects = np.exp(np.linspace(np.log(0.4), np.log(2.5), 301))
    sizes = [(round(4000 * aspect**0.5), round(4000 / aspect**0.5)) for aspect in aspects]
    manifest = measured(tmp_path, *((f"{number}.png", size, {}) for number, size in enumerate(sizes)))
    (proposal,) = bucket.plan(manifest, bucket.Options()).info
    assert proposal.startswith("9 sizes instead of 17 lose nothing: mean cut 5.7")
    assert proposal.endswith("set min_bucket_reso = 320, max_bucket_reso = 768") and "% as now, worst" in proposal
    plan = bucket.plan(manifest, bucket.Options(min_bucket_reso=320, max_bucket_reso=768))
    assert plan.warnings == plan.info == () and [row.value for row in plan.decisions] == [
        row.value for row in bucket.plan(manifest, bucket.Options()).decisions
    ]
    few = measured(tmp_path / "few", *((f"{number}.png", (700, 700), {}) for number in range(FEW - 1)))
    assert bucket.plan(few, bucket.Options()).info == ()


def test_a_longest_side_that_clips_sdxl_is_warned_of(tmp_path):
    manifest = measured(tmp_path, ("a.png", (1600, 900), {}), ("b.png", (900, 1600), {}))
    (note,) = bucket.plan(manifest, bucket.Options(resolution=1024, max_bucket_reso=1024)).warnings
    assert note.startswith(
        "sizes have 56% of the area of 1024² on average, 98% without min_bucket_reso = 512, max_bucket_reso = 1024"
    )
    assert note.endswith("or set max_bucket_reso = 2048")
    assert bucket.plan(manifest, bucket.Options(resolution=1024)).warnings == ()


def test_contact_sheets_are_drawn_for_the_run_that_asks_and_drawn_again_when_they_are_gone(checked):
    options = bucket.Options(**MINIATURE, contact_sheet=True)
    outcome = run_stage(checked, bucket.STAGE, options, quiet)
    sheets = sorted((checked.root / bucket.CROPS).glob("*.jpg"))
    assert outcome.counts["crops_drawn"] == 5 and outcome.counts["contact_sheets"] == len(sheets) > 0
    assert run_stage(checked, bucket.STAGE, options, quiet).fresh
    for sheet in sheets:
        sheet.unlink()
    assert bucket.missing(checked, options) == "no contact sheet is in reports/crops"
    assert not run_stage(checked, bucket.STAGE, options, quiet).fresh and sheets[0].exists()
    assert bucket.files(bucket.Options()) == () and bucket.work(checked, bucket.Options(), quiet).counts == {}


def test_check_measures_the_focus_that_crops_are_made_from(flattened, source):
    canvas = Image.new("RGB", (400, 200), "white")
    canvas.paste(Image.effect_noise((60, 200), 120).convert("RGB"), (330, 0))
    save(canvas, source / "right/r.png")
    run_flatten(flattened, source)
    run_stage(flattened, check.STAGE, check.Options(), quiet)
    options = bucket.Options(
        resolution=64, bucket_reso_steps=8, min_bucket_reso=64, max_bucket_reso=64, anchor="subject"
    )
    rows = {row.path: row for row in bucket.plan(flattened, options).decisions}
    left, _, right, _ = rows["images/right/r.png"].value.crop
    assert left <= 330 * 64 / 200 and right >= 390 * 64 / 200
    assert len(focus(np.zeros((8, 8), np.uint8))) == 4 * STRIPS
