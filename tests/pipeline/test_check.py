from dataclasses import replace

import pytest
from painted_sets import painted, quiet, run_flatten, save
from PIL import Image, ImageFilter

from pipeline.errors import PrepError
from pipeline.measurement import measure_picture
from pipeline.stage import run_stage
from pipeline.stages import check


def verdicts(manifest):
    return {path.removeprefix("images/"): (row.value, row.reason) for path, row in manifest.decisions("keep").items()}


def judge(manifest, *sources, **options):
    if sources:
        run_flatten(manifest, *sources)
    outcome = run_stage(manifest, check, check.Options(**options), quiet)
    return verdicts(manifest), outcome


def test_every_picture_has_one_verdict_with_reason_and_figures(checked):
    assert set(checked.decisions("keep")) == {image.path for image in checked.images()}
    row = checked.decisions("keep")["images/artists~alder/x.png"]
    assert row.value is True and row.reason == "good" and "sharpness" in row.evidence


def test_planning_twice_gives_the_same_plan_and_changes_nothing(checked):
    plans = [check.plan(checked, check.Options()) for _ in range(2)]
    assert plans[0] == plans[1] and not checked.changes(plans[0].fields, plans[0].decisions)
    assert run_stage(checked, check, check.Options(), quiet).fresh


def test_each_fault_has_its_reason(flattened, source):
    bad = source / "bad"
    whole = save(painted(40, 6), bad / "cut.png").read_bytes()
    (bad / "cut.png").write_bytes(whole[:2000])
    (bad / "empty.jpg").write_bytes(b"")
    save(painted(41, 0.5), bad / "small.png")
    save(painted(42, 2).resize((600, 90)), bad / "long.png")
    save(painted(43, 6).filter(ImageFilter.GaussianBlur(20)), bad / "soft.png")
    save(Image.new("RGB", (300, 300), (90, 90, 90)), bad / "grey.png")
    found, _ = judge(flattened, source)
    assert {path.removeprefix("bad/"): row for path, row in found.items() if path.startswith("bad/")} == {
        "cut.png": (False, "unreadable"),
        "empty.jpg": (False, "unreadable"),
        "small.png": (False, "too small"),
        "long.png": (False, "too long"),
        "soft.png": (False, "blurry"),
        "grey.png": (False, "flat"),
    }
    rows = flattened.decisions("keep")
    assert rows["images/bad/cut.png"].evidence.startswith("truncated")
    assert rows["images/bad/long.png"].evidence == "600×90, aspect 6.67 > 4"
    assert "< 5" in rows["images/bad/soft.png"].evidence


def test_loosening_a_threshold_brings_pictures_back_without_reading_them(checked, monkeypatch):
    strict, _ = judge(checked, min_sharpness=1e9)
    assert not any(keep for keep, _ in strict.values())
    monkeypatch.setattr("pipeline.measurement.measure_picture", lambda *_: pytest.fail("measured again"))
    loose, _ = judge(checked)
    assert all(keep for keep, _ in loose.values())


def test_pictures_that_are_kept_as_something_else_say_so(flattened, source):
    odd = source / "odd"
    painted(1, 2).save(save(painted(50, 2), odd / "moving.gif"), save_all=True, append_images=[painted(51, 2)])
    clear = painted(52, 2).convert("RGBA")
    clear.putalpha(200)
    save(clear, odd / "clear.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    painted(53, 2).save(odd / "turned.jpg", exif=exif)
    found, _ = judge(flattened, source)
    assert found["odd/moving.gif"] == (True, "several frames, first taken")
    assert found["odd/clear.png"] == (True, "transparent, put on white")
    assert found["odd/turned.jpg"] == (True, "turned by EXIF")


def test_of_equal_pictures_the_first_is_kept_and_the_others_name_it(flattened, source):
    (source / "artists/alder/copy.png").write_bytes((source / "characters/Quill/a.png").read_bytes())
    found, _ = judge(flattened, source)
    assert found["artists~alder/copy.png"] == (True, "good") and found["characters~Quill/a.png"] == (False, "duplicate")
    assert (
        flattened.decisions("keep")["images/characters~Quill/a.png"].evidence
        == "same content as images/artists~alder/copy.png"
    )
    found, _ = judge(flattened, duplicates_within="concept")
    assert found["characters~Quill/a.png"] == (True, "good")


def test_of_nearly_equal_pictures_the_larger_is_kept_and_the_others_name_it(flattened, source):
    large = painted(60, 8)
    save(large.resize((large.width // 2, large.height // 2)), source / "near/a.jpg")
    save(large, source / "near/b.png")
    save(large.resize((large.width // 3, large.height // 3)), source / "near/c.png")
    found, _ = judge(flattened, source)
    assert found["near/b.png"] == (True, "good")
    assert found["near/a.jpg"] == found["near/c.png"] == (False, "near-duplicate")
    assert flattened.decisions("keep")["images/near/a.jpg"].evidence.endswith(
        f"of 64 bits from the {large.width}×{large.height} images/near/b.png"
    )
    found, _ = judge(flattened, duplicate_distance=-1)
    assert found["near/a.jpg"] == (True, "good")


def test_another_aspect_ratio_is_never_a_near_duplicate(flattened, source):
    picture = painted(61, 6)
    save(picture, source / "near/a.png")
    save(picture.resize((picture.width, round(picture.height * 1.1))), source / "near/b.png")
    found, _ = judge(flattened, source, duplicate_distance=20)
    assert found["near/a.png"][0] and found["near/b.png"][0]


def test_a_loser_is_near_its_keeper_itself_not_through_others(checked):
    images = checked.images()
    measured = checked.measurements()
    hashes = ("0000000000000000", "0000000000000007", "000000000000003f", "ffffffffffffffff", "ffffffff00000000")
    fake = {
        image.content: replace(measured[image.content], phash=phash, width=100, height=100, sharpness=50 - number)
        for number, (image, phash) in enumerate(zip(images, hashes, strict=True))
    }
    pairs = check._near(list(images), fake, check.Options())
    assert [(loser.path, keeper.path) for loser, keeper, _, _ in pairs] == [(images[1].path, images[0].path)]


def test_what_a_person_names_is_kept_or_left_out_whatever_is_measured(checked):
    path = "images/artists~alder/x.png"
    drop = ("images/characters~Quill/*", "images/nobody/*")
    found, outcome = judge(checked, min_sharpness=1e9, keep=(path,), drop=drop)
    assert found["artists~alder/x.png"] == (True, "kept by you")
    assert found["characters~Quill/a.png"] == (False, "left out by you")
    assert "drop names 'images/nobody/*', which is no picture of the set" in outcome.plan.notes


def test_a_name_with_brackets_can_be_named_as_it_is(flattened, source):
    save(painted(70), source / "[artist] x/y.png")
    found, _ = judge(flattened, source, drop=("images/[artist] x/y.png",))
    assert found["[artist] x/y.png"] == (False, "left out by you")


def test_a_picture_gone_from_the_set_is_missing_and_comes_back(checked):
    path = checked.root / "images/artists~alder/x.png"
    content = path.read_bytes()
    path.unlink()
    found, outcome = judge(checked)
    assert found["artists~alder/x.png"] == (False, "missing")
    assert "prep flatten brings them back" in outcome.plan.notes[0]
    path.write_bytes(content)
    assert judge(checked)[0]["artists~alder/x.png"] == (True, "good")


def test_measuring_goes_on_where_it_was_stopped(flattened, monkeypatch):
    monkeypatch.setattr(check, "BATCH", 2)
    seen = []

    def stop(_, done, total):
        seen.append(done)
        if done >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check.measure(flattened, check.Options(), stop)
    assert len(flattened.measurements()) == 2
    measured = []
    monkeypatch.setattr(
        "pipeline.measurement.measure_picture",
        lambda path, content: measured.append(content) or measure_picture(path, content),
    )
    check.measure(flattened, check.Options(), quiet)
    assert len(flattened.measurements()) == 5 and len(measured) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_side": 0}, "min_side is 0"),
        ({"max_aspect": 0.5}, "max_aspect is 0.5"),
        ({"min_contrast": -1.0}, "min_contrast is -1"),
        ({"duplicate_distance": 40}, "duplicate_distance is 40"),
    ],
)
def test_options_out_of_range_are_told(options, message):
    with pytest.raises(PrepError, match=message):
        check.Options(**options)
