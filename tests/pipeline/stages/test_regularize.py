"""What regularization images are planned: as many as asked for, each with a seed and a file of its own."""

import errno
import os
from pathlib import Path

import PIL.Image
import pytest
from decided import decided, scored, trigger
from painted_sets import quiet

import train.miniature
from pipeline.concepts.regularization.files import save_caption
from pipeline.concepts.regularization.paths import reg_image_path, reg_image_paths
from pipeline.core.errors import PrepError
from pipeline.stages import regularize
from pipeline.store.manifest import Manifest
from pipeline.store.records import Image
from pipeline.store.running.runner import run_stage
from pipeline.store.values.bucket import Bucket
from pipeline.store.values.regularization import RegularizationAssignment, RegularizationImage
from pipeline.store.wording import figures, phrase

MINIATURE = Path(train.miniature.__file__).parent / "base"
PAINTED = {"base": "miniature", "steps": 1, "device": "cpu"}


@pytest.fixture
def manifest(tmp_path: Path):
    """Three images, two of which have names like those of regularization images."""
    manifest = Manifest.open(tmp_path / "set", create=True)
    images, rows = [], []
    for name in ("a.jpg", "a-2.png", "B.png"):
        path = f"images/Lumi/{name}"
        images.append(Image(path, "Lumi", path, name, 1, "copy"))
        rows.append(decided(path, "bucket", Bucket((64, 48), (64, 48), (0, 0, 64, 48))))
        rows.append(decided(path, "caption", f"Lumi, {name}"))
    with manifest.transaction():
        run = manifest.begin_run("test", {})
        manifest.put_images(images)
        manifest.put_decisions(run, ("bucket", "caption"), rows)
        manifest.finish_run(run, {})
    yield manifest
    manifest.close()


def planned(manifest: Manifest, **options) -> dict[str, tuple[RegularizationImage, ...]]:
    rows = regularize.plan(manifest, regularize.Options(base="miniature", **options)).decisions
    return {row.path.rpartition("/")[2]: row.value.images for row in rows}


def test_one_reg_image_is_planned_as_ever(manifest):
    rows = regularize.plan(manifest, regularize.Options(base="miniature", seed=7)).decisions
    value = next(row.value for row in rows if row.path.endswith("B.png"))
    assert value.images == (RegularizationImage("regularization/Lumi/B.png", "Lumi, B.png", (64, 48), 7),)


def test_every_reg_image_of_an_image_has_a_seed_of_its_own_and_all_else_in_common(manifest):
    found = planned(manifest, count=3, seed=7)
    for name, reg_images in found.items():
        assert [reg_image.seed for reg_image in reg_images] == [7, 8, 9]
        assert {reg_image.caption for reg_image in reg_images} == {f"Lumi, {name}"}
        assert all(reg_image.size == (64, 48) for reg_image in reg_images)
    assert [reg_image.path for reg_image in found["B.png"]] == [
        "regularization/Lumi/B.png",
        "regularization/Lumi/B-2.png",
        "regularization/Lumi/B-3.png",
    ]


def test_own_seeds_are_shared_by_no_two_reg_images(manifest):
    seeds = [
        reg_image.seed for reg_images in planned(manifest, count=4, seeds="own").values() for reg_image in reg_images
    ]
    assert len(set(seeds)) == 12


def test_no_reg_image_takes_the_name_of_another(manifest):
    paths = [reg_image.path for reg_images in planned(manifest, count=3).values() for reg_image in reg_images]
    assert len({path.casefold() for path in paths}) == 9
    assert "regularization/Lumi/a-2.png" in paths and "regularization/Lumi/a--2.png" in paths
    assert planned(manifest, count=3)["a-2.png"][0].path == "regularization/Lumi/a-2.png"


def test_names_that_differ_in_capitals_alone_are_kept_apart():
    found = reg_image_paths(["images/x/A.png", "images/x/a-2.png", "images/x/A-2.jpg"], 2)
    later = [reg_images[1].casefold() for reg_images in found.values()]
    assert len({*later, reg_image_path("images/x/A.png").casefold()}) == 4


def test_more_reg_images_leave_the_first_ones_as_they_are(manifest):
    one, three = planned(manifest), planned(manifest, count=3)
    assert all(three[name][:1] == reg_images for name, reg_images in one.items())


def test_the_evidence_names_all_seeds(manifest):
    row = regularize.plan(manifest, regularize.Options(base="miniature", count=2, seed=1)).decisions[0]
    assert figures(row) == "seeds 1, 2, 25 DDIM steps, guidance 7"


def test_a_reg_image_that_is_gone_is_missed_whichever_it_is(manifest):
    plan = regularize.plan(manifest, regularize.Options(base="miniature", count=2))
    with manifest.transaction():
        manifest.put_decisions(manifest.begin_run("regularize", {}), plan.fields, plan.decisions)
    for row in plan.decisions:
        for reg_image in row.value.images:
            (manifest.root / reg_image.path).parent.mkdir(parents=True, exist_ok=True)
            (manifest.root / reg_image.path).write_bytes(b"x")
    options = regularize.Options(base="miniature", count=2)
    assert regularize.missing(manifest, options) == ""
    (manifest.root / "regularization/Lumi/B-2.png").unlink()
    assert (
        regularize.missing(manifest, options)
        == "1 regularization images are not there, such as regularization/Lumi/B-2.png"
    )


def with_trigger(manifest: Manifest, caption: str, tags: list) -> None:
    """Every image has this caption, of which curation tells so."""
    rows = []
    for image in manifest.images():
        rows += [decided(image.path, "caption", caption), decided(image.path, "tags", tags)]
    with manifest.transaction():
        manifest.put_decisions(manifest.begin_run("curate", {}), ("caption", "tags"), rows)


def test_a_class_word_is_what_reg_images_are_asked_for_and_shown_with(manifest):
    with_trigger(manifest, "Lumi, smile", [trigger("Lumi"), scored("smile")])
    assert {reg_images[0].caption for reg_images in planned(manifest, class_word="girl").values()} == {"girl, smile"}
    row = regularize.plan(manifest, regularize.Options(base="miniature", class_words={"Lumi": "1girl"})).decisions[0]
    assert row.value.images[0].caption == "1girl, smile"
    assert phrase(row) == "caption with a class word for the trigger words"


def test_an_empty_prompt_is_refused_with_what_to_do(manifest):
    with_trigger(manifest, "Lumi", [trigger("Lumi")])
    with pytest.raises(PrepError) as caught:
        planned(manifest, trigger="remove")
    assert caught.value.message == (
        "regularize: 3 images would have a regularization image of an empty prompt: images/Lumi/B.png has the caption "
        "'Lumi', of which nothing is left"
    )
    assert "--class-word girl" in caught.value.hint and "--trigger keep" in caught.value.hint
    assert planned(manifest, trigger="remove", class_word="girl")["B.png"][0].caption == "girl"
    with_trigger(manifest, "", [])
    with pytest.raises(PrepError, match=r"images/Lumi/B\.png has no caption"):
        planned(manifest)


def test_a_class_word_for_nobody_is_refused(manifest):
    with_trigger(manifest, "Lumi", [trigger("Lumi")])
    with pytest.raises(PrepError, match="class_words names Lumy, which is no trigger word and no concept") as caught:
        planned(manifest, class_words={"Lumy": "girl"})
    assert "give a trigger word (Lumi) or a pattern of concepts, such as Lumi" in caught.value.hint


def test_styles_are_left_to_the_person_with_a_word(manifest):
    assert regularize.plan(manifest, regularize.Options(base="miniature", class_word="girl")).warnings == ()
    plan = regularize.plan(manifest, regularize.Options(base="miniature", class_word="girl", styles=("Lu*",)))
    (said,) = plan.warnings
    assert said.startswith(
        "regularization takes styles away, and Lumi are styles (option styles of curate); class_word is"
    )
    assert 'prior_loss_weights = {"artists/*" = 0}' in said


@pytest.mark.parametrize("count", [0, -1, 1001])
def test_a_count_out_of_range_is_refused(count):
    with pytest.raises(PrepError, match=f"count is {count}"):
        regularize.Options(count=count)


def test_a_reg_image_decision_names_the_first_and_what_the_others_have_instead():
    first = {"path": "a", "caption": "x", "size": [8, 8], "seed": 1}
    value = first | {"more": [{"path": "b", "seed": 2}, {"path": "c", "caption": "y"}]}
    assigned = RegularizationAssignment.from_json(value)
    assert assigned.images == (
        RegularizationImage("a", "x", (8, 8), 1),
        RegularizationImage("b", "x", (8, 8), 2),
        RegularizationImage("c", "y", (8, 8), 1),
    )
    assert assigned.to_json() == value


# --- painted


def out_of_space(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_while_generating_is_reported_and_what_was_generated_before_is_kept(manifest, monkeypatch):
    options, real, saves = regularize.Options(**PAINTED, count=2, batch_size=2), PIL.Image.Image.save, []

    def save(image, file, *rest, **more):
        saves.append(file)
        if len(saves) == 3:
            Path(file).write_bytes(b"\x89PNG half")
            out_of_space()
        real(image, file, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(PIL.Image.Image, "save", save)
        with pytest.raises(PrepError, match=r"\.png could not be written: No space left on device") as caught:
            run_stage(manifest, regularize.STAGE, options, quiet)
    assert "room on the disk" in caught.value.hint
    left = [file for file in (manifest.root / "regularization").rglob("*") if file.is_file()]
    assert len(left) == 2
    for file in left:
        with PIL.Image.open(file) as image:
            assert image.size == (64, 48) and image.info["prep-regularization"]
            image.load()
    outcome = run_stage(manifest, regularize.STAGE, options, quiet)
    assert outcome.counts["images_made"] == 4 and outcome.counts["images_already_there"] == 2


def test_a_full_disk_at_a_caption_is_reported_and_leaves_the_one_before(tmp_path, monkeypatch):
    save_caption(tmp_path / "a.png", "before")
    monkeypatch.setattr(Path, "write_text", out_of_space)
    with pytest.raises(PrepError, match=r"a\.txt could not be written: No space left on device"):
        save_caption(tmp_path / "a.png", "after")
    assert [file.name for file in tmp_path.glob("*")] == ["a.txt"]
    assert (tmp_path / "a.txt").read_bytes() == b"before\n"


@pytest.fixture
def planned_reg_images(manifest) -> Manifest:
    plan = regularize.plan(manifest, regularize.Options(**PAINTED))
    with manifest.transaction():
        manifest.put_decisions(manifest.begin_run("regularize", {}), plan.fields, plan.decisions)
    return manifest


def painting(manifest: Manifest, **options) -> tuple[int, tuple[str, ...], bytes]:
    """How many were painted, what was said of the base model, and the bytes of one."""
    made = regularize.work(manifest, regularize.Options(**PAINTED, **options), quiet)
    with PIL.Image.open(manifest.root / "regularization/Lumi/B.png") as image:
        return made.counts["images_made"], made.warnings, image.tobytes()


def test_reg_images_are_painted_as_the_prediction_that_is_asked_for_says(planned_reg_images):
    count, warnings, epsilon = painting(planned_reg_images)
    assert (count, warnings) == (3, ())
    count, warnings, velocity = painting(planned_reg_images, prediction="v_prediction")
    assert count == 3 and velocity != epsilon
    assert "v_prediction was asked for" in warnings[0]


def test_another_vae_or_tokenizer_is_loaded_and_makes_the_reg_images_anew(planned_reg_images, tmp_path):
    _, _, before = painting(planned_reg_images)
    count, _, same = painting(planned_reg_images, tokenizer=MINIATURE)
    assert count == 3 and same == before, "the same vocabulary by another way"
    count, _, same = painting(planned_reg_images, vae=str(MINIATURE / "vae"))
    assert count == 3 and same == before
    with pytest.raises(PrepError, match="is no VAE"):
        painting(planned_reg_images, vae=str(tmp_path))
    with pytest.raises(PrepError, match="holds no vocab"):
        painting(planned_reg_images, tokenizer=tmp_path)


def test_another_vae_is_a_reason_to_run_again(manifest):
    looks = {
        regularize.observe(manifest, regularize.Options(base="miniature", vae=vae))
        for vae in (None, str(MINIATURE / "vae"))
    }
    assert len(looks) == 2
