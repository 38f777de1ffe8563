"""Regularization images that a person gave: found, judged, dealt, cropped, brought into the set and taken out again."""

import os
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
from decided import decided
from disturbed import contents, run
from painted_sets import painted, quiet, save

from pipeline.core.decoding.image_io import load_cropped
from pipeline.core.errors import PrepError
from pipeline.stages import bucket, flatten, regularize
from pipeline.store.history.undo import newest, undo
from pipeline.store.manifest import Manifest
from pipeline.store.running.runner import preview_stage, run_stage
from pipeline.store.values.repeats import Repeats

LUMI, ALDER = "images/characters~Lumi/a.png", "images/artists~alder/x.png"


def options(folder: Path, **more) -> regularize.Options:
    return regularize.Options(**{"images": "user", "user_images": folder, "user_caption": "1girl"} | more)


def ran(manifest: Manifest, folder: Path, **more):
    outcome = run_stage(manifest, regularize.STAGE, options(folder, **more), quiet)
    return outcome, {path: row.value.images for path, row in manifest.decisions("regularization").items()}


def names(reg_images) -> set[str]:
    return {Path(reg_image.path).name.rpartition("-")[0] for reg_image in reg_images}


def beside(reg_images, *concepts: str) -> list[dict]:
    """The regularization images of all images whose path holds one of these words."""
    return [
        reg_image for path, found in reg_images.items() for reg_image in found if any(word in path for word in concepts)
    ]


def test_a_concept_has_its_own_folder_and_the_others_what_lies_flat(ready, folder):
    outcome, reg_images = ran(ready, folder)
    assert len(reg_images) == 5 and outcome.counts["user_supplied_images"] == 5
    assert not any(reg_image.matched for found in reg_images.values() for reg_image in found)
    assert names(beside(reg_images, "Lumi")) == {"a", "b"}
    assert names(beside(reg_images, "alder", "Quill")) == {"one", "two", "three"}
    said = {
        reg_image.path.rpartition("-")[0]: reg_image.caption for found in reg_images.values() for reg_image in found
    }
    assert said["regularization/user/one"] == "1girl, forest"
    assert said["regularization/user/two"] == "1girl" == said["regularization/characters~Lumi/a"]


@pytest.mark.parametrize("name", ["characters", "characters~Lumi", "Lumi", "CHARACTERS/lumi"])
def test_a_folder_can_name_a_node_of_the_tree_or_a_concept_as_it_is_flattened(ready, tmp_path, name):
    save(painted(30), tmp_path / "given" / name / "p.png")
    _, reg_images = ran(ready, tmp_path / "given")
    served = {path.split("/")[1] for path in reg_images}
    assert served == ({"characters~Lumi", "characters~Quill"} if name == "characters" else {"characters~Lumi"})


def test_a_concept_for_which_none_are_given_is_reported_and_goes_without(ready, tmp_path):
    save(painted(30), tmp_path / "given/Lumi/p.png")
    outcome, reg_images = ran(ready, tmp_path / "given")
    assert LUMI in reg_images and ALDER not in reg_images
    assert (
        "no regularization image of yours is for artists/alder: its 2 images are trained on without regularization"
        in (outcome.plan.warnings)
    )
    rows = {row["concept"]: row for row in outcome.plan.table}
    assert (rows["artists/alder"]["user_images"], rows["characters/Lumi"]["user_images"]) == (0, 1)


def test_what_cannot_be_used_is_reported_with_its_reason(ready, folder, source):
    save(painted(40).resize((40, 90)), folder / "small.png")
    (folder / "broken.png").write_bytes((folder / "one.png").read_bytes()[:300])
    (folder / "copy.png").write_bytes((folder / "two.png").read_bytes())
    (folder / "trained.png").write_bytes((source / "characters/Lumi/a.png").read_bytes())
    (folder / "lonely.txt").write_text("1girl", encoding="utf-8")
    (folder / "empty.png.txt").write_text("1girl", encoding="utf-8")
    save(painted(41, 1.5), folder / "Nobody" / "p.png")
    outcome, reg_images = ran(ready, folder)
    reported = "\n".join(outcome.plan.warnings)
    assert "not used, too small: 1, such as" in reported and "small.png (40×90, shorter side below 64)" in reported
    assert "not used, unreadable: 1, such as" in reported and "broken.png" in reported
    assert "not used, given twice: 1" in reported
    assert "trained.png (as images/characters~Lumi/a.png)" in reported
    assert "not used, in a folder that is named like no concept: 1" in reported
    assert "not used, text without an image: 2" in reported
    used = {name for found in reg_images.values() for name in names(found)}
    assert used & {"small", "broken", "trained", "p"} == set() and len({"two", "copy"} & used) == 1


def test_images_without_a_caption_are_refused_unless_one_is_given_for_all(ready, folder):
    with pytest.raises(PrepError, match="4 regularization images of yours have no caption, such as") as error:
        ran(ready, folder, user_caption=None)
    assert "--user-caption" in error.value.hint
    _, reg_images = ran(ready, folder, user_caption="")
    assert {reg_image.caption for reg_image in reg_images[LUMI]} == {""}


def test_a_folder_of_nothing_usable_is_an_error_that_says_why(ready, tmp_path):
    (tmp_path / "given").mkdir()
    with pytest.raises(PrepError, match="it holds no images"):
        ran(ready, tmp_path / "given")
    (tmp_path / "given" / "a.png").write_bytes(b"no image")
    with pytest.raises(PrepError, match="can be used: regularization images of yours not used, unreadable: 1"):
        ran(ready, tmp_path / "given")
    with pytest.raises(PrepError, match="no folder"):
        ran(ready, tmp_path / "nowhere")
    with pytest.raises(PrepError, match="where the set keeps its regularization images"):
        (ready.root / "regularization").mkdir(exist_ok=True)
        ran(ready, ready.root / "regularization")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"images": "user"}, "no folder of them"),
        ({"user_images": Path("x")}, "user_images does nothing while images is 'matched'"),
        ({"user_caption": "1girl"}, "user_caption does nothing"),
        ({"images": "user", "user_images": Path("x"), "count": 2}, "count is 2"),
    ],
)
def test_options_that_do_nothing_together_are_refused(asked, message):
    with pytest.raises(PrepError, match=message):
        regularize.Options(**asked)


def test_each_is_cropped_to_the_size_of_the_image_it_goes_beside_by_the_rules_of_bucket(ready, folder):
    save(painted(50).resize((200, 400)), folder / "characters/Lumi/long.png")
    _, reg_images = ran(ready, folder)
    size = ready.decisions("bucket")[LUMI].value.size
    long = next(reg_image for reg_image in reg_images[LUMI] if "/long-" in reg_image.path)
    width, height = size
    # 200×400 scaled to cover a bucket that is wider than 1:2: as wide as it, twice as high, cut from the top as asked
    assert long.bucket.scaled == (width, 2 * width) and long.bucket.crop == (0, 0, width, height)
    assert long.bucket.loss == pytest.approx(1 - height / (2 * width), abs=1e-6)
    assert long.size == size == long.bucket.size
    assert load_cropped(ready.root / long.path, long.bucket).size == (width, height)


def test_enlarging_is_not_done_without_a_word(ready, folder, tmp_path):
    run_stage(ready, bucket.STAGE, bucket.Options(resolution=256, bucket_reso_steps=64), quiet)
    outcome, _ = ran(ready, folder)
    assert any("images of yours that are upscaled" in note and "times" in note for note in outcome.plan.warnings)


def test_the_originals_stay_and_undo_takes_all_out_of_the_set(ready, folder):
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    _, reg_images = ran(ready, folder)
    paths = {reg_image.path for found in reg_images.values() for reg_image in found}
    assert all((ready.root / path).is_file() for path in paths)
    assert (ready.root / next(iter(paths))).with_suffix(".txt").read_text(encoding="utf-8").strip()
    undo(ready, newest(ready))
    assert not ready.decisions("regularization") and not list((ready.root / "regularization").glob("*/*"))
    assert before == {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_it_is_fresh_until_a_given_image_or_the_balance_changes(ready, folder):
    ran(ready, folder)
    assert ran(ready, folder)[0].fresh
    save(painted(60, 1.5), folder / "four.png")
    outcome, reg_images = ran(ready, folder)
    assert not outcome.fresh and "four" in names(beside(reg_images, "alder", "Quill"))
    with ready.transaction():
        value = Repeats(3.0, 3)
        ready.put_rows(ready.begin_run("balance", {}), [decided(ALDER, "repeats", value)])
    assert not ran(ready, folder)[0].fresh


def test_an_image_that_is_given_no_more_leaves_the_set_and_a_persons_own_file_stays(ready, folder):
    _, reg_images = ran(ready, folder)
    gone = next(reg_image.path for reg_image in beside(reg_images, "alder", "Quill") if "/two-" in reg_image.path)
    own = ready.root / "regularization/user/own.png"
    save(painted(70), own)
    (folder / "two.png").unlink()
    ran(ready, folder)
    assert not (ready.root / gone).exists() and not (ready.root / gone).with_suffix(".txt").exists() and own.exists()
    run_stage(ready, regularize.STAGE, regularize.Options(images="none"), quiet)
    assert list((ready.root / "regularization").rglob("*.*")) == [own]


def test_an_image_lost_in_the_set_is_missed_and_brought_again(ready, folder):
    _, reg_images = ran(ready, folder)
    lost = ready.root / reg_images[LUMI][0].path
    lost.unlink()
    assert regularize.missing(ready, options(folder)).startswith("1 regularization images are not there")
    ran(ready, folder)
    assert lost.exists()


@pytest.mark.skipif(os.name == "nt", reason="signals and fork servers are of POSIX systems")
@pytest.mark.parametrize(("how", "codes"), [("killed", (-9,)), ("full", (1, -9))])
def test_killed_or_out_of_space_a_run_done_again_ends_as_an_undisturbed_one(ready, folder, tmp_path, how, codes):
    ready.close()
    asked = ["regularize", "--images", "user", "--user-images", str(folder), "--user-caption", "1girl"]
    (ready.root / "prep.toml").write_text('[flatten]\nlink = "copy"\n', encoding="utf-8")
    before, root, whole = ready.root, tmp_path / "disturbed", tmp_path / "whole"
    shutil.copytree(before, whole)
    code, done = run([*asked, str(whole)])
    assert code == 0
    for at in random.Random(how).sample(range(1, done), 4):
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(before, root)
        assert run([*asked, str(root)], how, at)[0] in (*codes, 0), at
        assert not [file for file in (root / "regularization").rglob(".*") if how == "full"], "half written"
        assert run([*asked, str(root)])[0] == 0
        assert contents(root) == contents(whole), f"{how} at {at} of {done}"


def test_a_preview_brings_nothing(ready, folder):
    plan = preview_stage(ready, regularize.STAGE, options(folder), quiet)
    assert len(plan.decisions) == 5 and len(plan.links) == 5
    assert not (ready.root / "regularization").exists() and not ready.decisions("regularization")


def test_the_command_shows_the_counts_per_concept(ready, folder, command):
    asked = ("--images", "user", "--user-images", folder, "--user-caption", "1girl", "--dry-run", "-v")
    shown = command("regularize", ready.root, *asked)
    assert shown.exit_code == 0, shown.output
    assert "characters/Lumi" in shown.output and "places of each" in shown.output


def test_training_reads_the_crops_and_draws_noise_of_their_own(ready, folder):
    from train.data.dataset import examples
    from train.options.recipe import make_recipe

    ran(ready, folder)
    with ready.transaction():
        rows = [
            decided(image.path, field, value)
            for image in ready.kept()
            for field, value in (("caption", "girl"), ("repeats", Repeats(1.0, 1)))
        ]
        ready.put_rows(ready.begin_run("test", {}), rows)
    for example in examples(ready, make_recipe(base="miniature").dataset):
        assert example.reg_images and not any(reg_image.matched for reg_image in example.reg_images)
        assert {reg_image.image.size for reg_image in example.reg_images} == {example.image.size}


def test_transparent_given_images_are_put_on_the_background_of_the_set(ready, folder):
    clear = painted(80, 1.5).convert("RGBA")
    clear.paste((0, 0, 0, 0), (0, 0, 20, 20))
    save(clear, folder / "characters/Lumi/clear.png")
    run_stage(ready, bucket.STAGE, bucket.Options(resolution=64, bucket_reso_steps=16, background="#102030"), quiet)
    _, reg_images = ran(ready, folder)
    found = beside(reg_images, "Lumi")
    here = next(reg_image for reg_image in found if "/clear-" in reg_image.path)
    assert here.bucket.background == "#102030"
    assert not any(reg_image.bucket.background for reg_image in found if "/clear-" not in reg_image.path)
    shown = load_cropped(ready.root / here.path, here.bucket)
    assert shown.getpixel((0, 0)) == (0x10, 0x20, 0x30)


# --- kohya's folders, class folders, another set


def used(reg_images) -> dict[str, set[str]]:
    """Concept folder in the set → names and captions of what its images have beside them."""
    found: dict[str, set[str]] = {}
    for path, images in reg_images.items():
        found.setdefault(path.split("/")[1], set()).update(
            f"{each.path.split('/')[1]}: {each.caption}" for each in images
        )
    return found


def test_kohyas_folder_of_a_class_is_for_all_and_its_name_is_the_caption_where_there_is_none(ready, tmp_path):
    save(painted(20, 1.5), tmp_path / "reg/1_woman/a.png")
    save(painted(22, 1.5), tmp_path / "reg/1_woman/b.png")
    (tmp_path / "reg/1_woman/b.txt").write_text("a woman in a forest", encoding="utf-8")
    everything = {"woman: woman", "woman: a woman in a forest"}
    for named in ("reg", "reg/1_woman"):
        _, reg_images = ran(ready, tmp_path / named, user_caption=None)
        said = {caption.partition(": ")[2] for found in used(reg_images).values() for caption in found}
        assert len(used(reg_images)) == 3 and said == {"woman", "a woman in a forest"}
    _, reg_images = ran(ready, tmp_path / "reg", user_caption=None)
    assert all(found <= everything for found in used(reg_images).values())


@pytest.mark.parametrize("name", ["3_Lumi", "1_characters~Lumi", "characters/10_Lumi"])
def test_repeats_in_front_of_a_concepts_name_do_not_hide_it(ready, tmp_path, name):
    save(painted(20, 1.5), tmp_path / "reg" / name / "p.png")
    _, reg_images = ran(ready, tmp_path / "reg")
    assert set(used(reg_images)) == {"characters~Lumi"}


def test_a_class_folder_is_for_the_concepts_whose_class_word_it_is(ready, tmp_path):
    save(painted(20, 1.5), tmp_path / "reg/1girl_solo/p.png")
    save(painted(22, 1.5), tmp_path / "reg/landscape/q.png")
    words = {"characters/*": "1girl solo", "artists/*": "landscape"}
    _, reg_images = ran(ready, tmp_path / "reg", user_caption=None, class_words=words)
    found = used(reg_images)
    assert found["characters~Lumi"] == {"1girl_solo: 1girl_solo"} and found["artists~alder"] == {"landscape: landscape"}


def test_the_number_of_a_folder_says_how_often_its_images_are_used_beside_the_others(ready, tmp_path):
    save(painted(20, 1.5), tmp_path / "reg/3_woman/often.png")
    save(painted(22, 1.5), tmp_path / "reg/1_person/seldom.png")
    _, reg_images = ran(ready, tmp_path / "reg", user_caption=None)
    turns = Counter(reg_image.caption for found in reg_images.values() for reg_image in found)
    assert turns["woman"] == 3 * turns["person"] > 0


def test_random_images_of_any_folder_are_for_every_concept_and_need_no_caption(ready, tmp_path):
    save(painted(20, 1.5), tmp_path / "nice/sub/p.png")
    save(painted(22, 1.5), tmp_path / "nice/Lumi/q.png")
    outcome, reg_images = ran(ready, tmp_path / "nice", images="random", user_caption=None)
    assert {Path(each.path).name.rpartition("-")[0] for found in reg_images.values() for each in found} == {"p", "q"}
    assert len(used(reg_images)) == 3 and {each.caption for found in reg_images.values() for each in found} == {""}
    assert any(
        "2 images of yours have no caption and are shown with an empty one" in said for said in outcome.plan.warnings
    )


def test_of_another_set_the_kept_images_are_used_with_their_captions(ready, tmp_path):
    root = tmp_path / "other"
    save(painted(20, 1.5), tmp_path / "theirs/woman/p.png")
    save(painted(22, 1.5), tmp_path / "theirs/woman/left out.png")
    with Manifest.open(root, create=True) as other:
        run_stage(other, flatten.STAGE, flatten.Options(sources=(str(tmp_path / "theirs"),)), quiet)
        gone = next(image.path for image in other.images() if "left" in image.path)
        (kept,) = (image.path for image in other.images() if image.path != gone)
        with other.transaction():
            other.put_decisions(other.begin_run("check", {}), ("keep",), [decided(gone, "keep", False)])
        (root / kept).with_suffix(".txt").write_text("a woman", encoding="utf-8")
    _, reg_images = ran(ready, root, images="random", user_caption=None)
    assert {each.caption for found in reg_images.values() for each in found} == {"a woman"}
    assert len({each.path for found in reg_images.values() for each in found}) == 1
    with pytest.raises(PrepError, match="is the set itself, whose images are trained on"):
        ran(ready, ready.root)


def test_a_class_word_is_the_caption_of_random_images_that_have_none(ready, tmp_path):
    save(painted(20, 1.5), tmp_path / "nice/p.png")
    outcome, reg_images = ran(ready, tmp_path / "nice", images="random", user_caption=None, class_word="person")
    assert {each.caption for found in reg_images.values() for each in found} == {"person"}
    assert not any("empty one" in said for said in outcome.plan.warnings)
