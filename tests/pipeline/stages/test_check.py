from dataclasses import replace

import cv2
import numpy as np
import pytest
from painted_sets import painted, quiet, run_flatten, save
from PIL import Image, ImageFilter

from pipeline.core.errors import PrepError
from pipeline.images.measurement import measure_image
from pipeline.stages import check
from pipeline.store.manifest import Manifest
from pipeline.store.running.runner import run_stage
from pipeline.store.wording import figures, phrase
from train.miniature.painter import paint
from train.miniature.scenes import CHARACTERS, EXPRESSIONS, random_scene


def verdicts(manifest):
    return {path.removeprefix("images/"): (row.value, phrase(row)) for path, row in manifest.decisions("keep").items()}


def judge(manifest, *sources, **options):
    if sources:
        run_flatten(manifest, *sources)
    outcome = run_stage(manifest, check.STAGE, check.Options(**options), quiet)
    return verdicts(manifest), outcome


def test_every_image_has_one_verdict_with_reason_and_figures(checked):
    assert set(checked.decisions("keep")) == {image.path for image in checked.images()}
    row = checked.decisions("keep")["images/artists~alder/x.png"]
    assert row.value is True and phrase(row) == "good" and "sharpness" in figures(row)


def test_planning_twice_gives_the_same_plan_and_changes_nothing(checked):
    plans = [check.plan(checked, check.Options()) for _ in range(2)]
    assert plans[0] == plans[1] and not checked.changes(plans[0].fields, plans[0].decisions)
    assert run_stage(checked, check.STAGE, check.Options(), quiet).fresh


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
        "cut.png": (False, "truncated"),
        "empty.jpg": (False, "unreadable"),
        "small.png": (False, "too small"),
        "long.png": (False, "too long"),
        "soft.png": (False, "blurry"),
        "grey.png": (False, "flat"),
    }
    rows = flattened.decisions("keep")
    assert figures(rows["images/bad/cut.png"]).startswith("truncated")
    assert figures(rows["images/bad/long.png"]) == "600×90, aspect 6.67 > 4"
    assert "< 5" in figures(rows["images/bad/soft.png"])


def test_loosening_a_threshold_brings_images_back_without_reading_them(checked, monkeypatch):
    strict, _ = judge(checked, min_sharpness=1e9)
    assert not any(keep for keep, _ in strict.values())
    monkeypatch.setattr("pipeline.images.measurement.measure_image", lambda *_: pytest.fail("measured again"))
    loose, _ = judge(checked)
    assert all(keep for keep, _ in loose.values())


def plant_oddities(odd):
    moving = painted(50, 2)
    odd.mkdir(parents=True)
    moving.save(odd / "moving.gif", save_all=True, append_images=[painted(51, 2).resize(moving.size)])
    clear = painted(52, 2).convert("RGBA")
    clear.putalpha(200)
    save(clear, odd / "clear.png")
    cut_out = painted(54, 2).convert("RGBA")
    cut_out.paste((9, 9, 9, 0), (0, 0, 40, 40))
    save(cut_out, odd / "hidden.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    painted(53, 2).save(odd / "turned.jpg", exif=exif)
    painted(55, 2).convert("CMYK").save(odd / "ink.jpg", exif=exif)
    cv2.imwrite(str(odd / "deep.png"), np.asarray(painted(56, 2), np.uint16)[:, :, ::-1] * 257)
    painted(57, 2).save(odd / "profile.png", icc_profile=b"nonsense")
    film = Image.new("RGB", (painted(58, 2).width, painted(58, 2).height + 60))
    film.paste(painted(58, 2), (0, 30))
    save(film, odd / "film.png")


def test_images_that_are_kept_as_something_else_say_so(flattened, source):
    plant_oddities(source / "odd")
    found, outcome = judge(flattened, source)
    assert {path.removeprefix("odd/"): row for path, row in found.items() if path.startswith("odd/")} == {
        "moving.gif": (True, "animated, first frame taken"),
        "clear.png": (True, "transparent, put on white"),
        "hidden.png": (True, "alpha over coloured RGB"),
        "turned.jpg": (True, "EXIF-rotated"),
        "ink.jpg": (True, "CMYK, made RGB"),
        "deep.png": (True, "16 bits, scaled to 8"),
        "profile.png": (True, "colour profile broken, ignored"),
        "film.png": (True, "letterboxed"),
    }
    rows = flattened.decisions("keep")
    assert figures(rows["images/odd/moving.gif"]).startswith("2 frames, ")
    assert "clear but not white below" in figures(rows["images/odd/hidden.png"])
    assert figures(rows["images/odd/ink.jpg"]).endswith("; also EXIF-rotated (orientation 6)")
    assert figures(rows["images/odd/film.png"]).startswith("30 px above and 30 px below, ")
    assert any(note.startswith("1 of 13 kept images are letterboxed") for note in outcome.plan.warnings)
    assert "2 of 8 images of odd are turned by EXIF, the others are not" in " ".join(outcome.plan.warnings)


def test_animations_and_letterboxed_images_are_left_out_on_request(flattened, source):
    plant_oddities(source / "odd")
    found, _ = judge(flattened, source, animated="drop", letterbox="drop")
    assert found["odd/moving.gif"] == (False, "animated")
    assert found["odd/film.png"] == (False, "letterboxed, excluded")
    assert figures(flattened.decisions("keep")["images/odd/moving.gif"]) == "2 frames"


def test_the_gravest_reason_is_given_and_the_others_stand_in_its_evidence(flattened, source):
    soft = painted(43, 6).filter(ImageFilter.GaussianBlur(20)).convert("RGBA")
    soft.putalpha(250)
    save(soft.resize((60, 300)), source / "bad/all.png")
    found, _ = judge(flattened, source)
    assert found["bad/all.png"] == (False, "too small")
    evidence = figures(flattened.decisions("keep")["images/bad/all.png"])
    assert evidence.startswith("60×300, shorter side below 64; also too long (60×300, aspect 5.00 > 4); blurry (")
    assert evidence.endswith("; transparent, put on white")


def test_enlarging_is_reported_and_limited_on_request(flattened, source):
    save(painted(44, 1).resize((256, 128)), source / "small/a.png")
    found, _ = judge(flattened, source)
    # by hand: 512 / sqrt(256 * 128) = 2.83
    assert found["small/a.png"] == (True, "good")
    assert figures(flattened.decisions("keep")["images/small/a.png"]).endswith(", upscaled 2.83 times for 512²")
    found, _ = judge(flattened, max_upscale=2.0)
    assert found["small/a.png"] == (False, "too small for the area")
    assert figures(flattened.decisions("keep")["images/small/a.png"]) == "256×128, upscaled 2.83 times > 2 for 512²"
    assert judge(flattened, max_upscale=2.0, resolution=256)[0]["small/a.png"] == (True, "good")


def test_of_equal_images_the_first_is_kept_and_the_others_name_it(flattened, source):
    (source / "artists/alder/copy.png").write_bytes((source / "characters/Quill/a.png").read_bytes())
    found, _ = judge(flattened, source)
    assert found["artists~alder/copy.png"] == (True, "good") and found["characters~Quill/a.png"] == (False, "duplicate")
    assert (
        figures(flattened.decisions("keep")["images/characters~Quill/a.png"])
        == "same content as images/artists~alder/copy.png"
    )
    found, _ = judge(flattened, duplicates_within="concept")
    assert found["characters~Quill/a.png"] == (True, "good")
    found, _ = judge(flattened, keep=("images/characters~Quill/a.png",))
    assert found["characters~Quill/a.png"] == (True, "kept by you")
    assert found["artists~alder/copy.png"] == (False, "duplicate")


def test_of_nearly_equal_images_the_larger_is_kept_and_the_others_name_it(flattened, source):
    large = painted(60, 8)
    save(large.resize((large.width // 2, large.height // 2)), source / "near/a.jpg")
    save(large, source / "near/b.png")
    save(large.resize((large.width // 3, large.height // 3)), source / "near/c.png")
    found, _ = judge(flattened, source)
    assert found["near/b.png"] == (True, "good")
    assert found["near/a.jpg"] == found["near/c.png"] == (False, "near-duplicate")
    assert figures(flattened.decisions("keep")["images/near/a.jpg"]).endswith(
        f"of 256 bits from the {large.width}×{large.height} images/near/b.png"
    )
    found, _ = judge(flattened, duplicate_distance=-1)
    assert found["near/a.jpg"] == (True, "good")


def test_another_aspect_ratio_is_never_a_near_duplicate(flattened, source):
    img = painted(61, 6)
    save(img, source / "near/a.png")
    save(img.resize((img.width, round(img.height * 1.1))), source / "near/b.png")
    found, _ = judge(flattened, source, duplicate_distance=20)
    assert found["near/a.png"][0] and found["near/b.png"][0]


def test_what_a_person_names_is_kept_or_left_out_whatever_is_measured(checked):
    path = "images/artists~alder/x.png"
    drop = ("images/characters~Quill/*", "images/nobody/*")
    found, outcome = judge(checked, min_sharpness=1e9, keep=(path,), drop=drop)
    assert found["artists~alder/x.png"] == (True, "kept by you")
    assert found["characters~Quill/a.png"] == (False, "excluded by you")
    assert "drop names 'images/nobody/*', which is no image of the set" in outcome.plan.warnings


def test_a_name_with_brackets_can_be_named_as_it_is(flattened, source):
    save(painted(70), source / "[artist] x/y.png")
    found, _ = judge(flattened, source, drop=("images/[artist] x/y.png",))
    assert found["[artist] x/y.png"] == (False, "excluded by you")


def test_an_image_gone_from_the_set_is_missing_and_comes_back(checked):
    path = checked.root / "images/artists~alder/x.png"
    content = path.read_bytes()
    path.unlink()
    found, outcome = judge(checked)
    assert found["artists~alder/x.png"] == (False, "missing")
    assert "prep flatten brings them back" in outcome.plan.warnings[0]
    path.write_bytes(content)
    assert judge(checked)[0]["artists~alder/x.png"] == (True, "good")


def test_images_are_judged_on_the_background_of_training_and_again_where_it_changes(tmp_path):
    image = Image.new("RGBA", (64, 64), (255, 255, 255, 0))
    image.paste((255, 255, 255, 255), (0, 0, 32, 32))
    (tmp_path / "pics").mkdir()
    image.save(tmp_path / "pics/a.png")
    manifest = Manifest.open(tmp_path / "set", create=True)
    assert judge(manifest, tmp_path / "pics")[0] == {"pics/a.png": (False, "flat")}
    assert judge(manifest, background="#000000")[0] == {"pics/a.png": (True, "alpha over coloured RGB")}
    assert judge(manifest)[0] == {"pics/a.png": (False, "flat")}


def test_measuring_goes_on_where_it_was_stopped(flattened, monkeypatch):
    monkeypatch.setattr("pipeline.images.measuring.BATCH", 2)
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
        "pipeline.images.measurement.measure_image",
        lambda path, content, background: measured.append(content) or measure_image(path, content, background),
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
        ({"duplicate_change": -1.0}, "duplicate_change is -1"),
        ({"max_upscale": 0.5}, "max_upscale is 0.5"),
    ],
)
def test_options_out_of_range_are_reported(options, message):
    with pytest.raises(PrepError, match=message):
        check.Options(**options)


def test_near_copies_are_kept_when_a_person_says_so_and_by_looser_rules_films_lose_frames(flattened, source):
    scene = replace(random_scene(np.random.default_rng(3)), girls=(CHARACTERS["Lumi"],))
    for expression in EXPRESSIONS[:2]:
        girl = replace(scene.girls[0], expression=expression)
        save(paint(replace(scene, girls=(girl,)), 5.0), source / f"film/{expression.replace(' ', '_')}.png")
    found, _ = judge(flattened, source)
    assert [keep for path, (keep, _) in found.items() if path.startswith("film/")] == [True, True]
    found, _ = judge(flattened, duplicate_change=1000.0)
    assert sorted(keep for path, (keep, _) in found.items() if path.startswith("film/")) == [False, True]
    found, _ = judge(flattened, duplicate_change=1000.0, keep=("images/film/*",))
    assert [keep for path, (keep, _) in found.items() if path.startswith("film/")] == [True, True]


def reg_image_of(manifest, path, name, factor=1.0):
    with Image.open(manifest.root / path) as opened:
        size = (round(opened.width * factor), round(opened.height * factor))
        return save(opened.convert("RGB").resize(size), manifest.root / "regularization" / name)


def test_a_regularization_image_that_is_a_copy_of_a_training_image_is_found(checked):
    img = "images/artists~alder/x.png"
    (checked.root / "regularization/a").mkdir(parents=True)
    (checked.root / "regularization/a/same.png").write_bytes((checked.root / img).read_bytes())
    reg_image_of(checked, img, "a/larger.png", 2)
    save(painted(77, 2), checked.root / "regularization/a/other.png")
    (checked.root / "regularization/a/broken.png").write_bytes(b"\x89PNG")
    run_stage(checked, check.STAGE, check.Options(), quiet, force=True)
    rows = {path: row for path, row in checked.decisions("keep").items() if path.startswith("regularization/")}
    assert {path: (row.value, phrase(row)) for path, row in rows.items()} == {
        "regularization/a/same.png": (False, "duplicate of a training image"),
        "regularization/a/larger.png": (False, "near-duplicate of a training image"),
    }
    assert all(figures(row).endswith(" " + img) for row in rows.values())
    assert img in {image.path for image in checked.kept()} and len(checked.kept()) == 5
    (checked.root / "regularization/a/larger.png").unlink()
    run_stage(checked, check.STAGE, check.Options(), quiet, force=True)
    assert "regularization/a/larger.png" not in checked.decisions("keep")


def test_a_regularization_image_is_hashed_again_only_when_it_changed(checked, monkeypatch):
    file = reg_image_of(checked, "images/artists~alder/x.png", "a/b.png")
    check.measure(checked, check.Options(), quiet)
    before = checked.known_files()["regularization/a/b.png"]
    with monkeypatch.context() as patch:
        patch.setattr(
            "pipeline.concepts.regularization.known_files.digest_if_readable", lambda _: pytest.fail("hashed again")
        )
        check.measure(checked, check.Options(), quiet)
    save(painted(78, 2), file)
    check.measure(checked, check.Options(), quiet)
    after = checked.known_files()["regularization/a/b.png"]
    assert after[2] != before[2] and after[2] in checked.measurements()
