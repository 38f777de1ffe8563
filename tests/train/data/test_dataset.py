import os
from pathlib import Path

import pytest
from decided import decided

from pipeline.core.errors import PrepError
from pipeline.store.records import Measurement
from pipeline.store.values.bucket import Bucket
from pipeline.store.values.regularization import RegularizationAssignment, RegularizationImage
from pipeline.store.values.repeats import Repeats
from train.data import regularization
from train.data.dataset import dataset_digest, examples, read_dataset, tag_frequency
from train.options.recipe import make_recipe

PLAIN = make_recipe(prior_loss_weight=0.0)


def put(manifest, field: str, values: dict[str, object]) -> None:
    with manifest.transaction():
        run = manifest.begin_run("test", {})
        rows = [decided(path, field, value) for path, value in values.items()]
        manifest.put_rows(run, rows)


def with_reg_images(manifest, count: int) -> list[Path]:
    """Give the first image so many regularization images."""
    path = manifest.kept()[0].path
    reg_images = [f"regularization/Lumi/0{'' if number == 1 else f'-{number}'}.png" for number in range(1, count + 1)]
    found = (RegularizationImage(reg_image, "1girl", (48, 80), seed) for seed, reg_image in enumerate(reg_images, 1))
    put(manifest, "regularization", {path: RegularizationAssignment(tuple(found))})
    files = [manifest.root / reg_image for reg_image in reg_images]
    for number, file in enumerate(files):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes((manifest.root / manifest.kept()[number + 1].path).read_bytes())
    return files


def test_an_example_holds_what_was_decided_about_its_image(prepared):
    found = examples(prepared, make_recipe().dataset)
    assert [example.entry.key for example in found] == [image.path for image in prepared.kept()]
    first = found[0]
    assert (first.entry.bucket, first.entry.repeats, first.concept) == ((24, 40), 1.5, "Lumi")
    assert first.image.file == prepared.root / first.entry.key and first.image.size == (24, 40)
    assert first.triggers == ("Lumi",) and first.caption.startswith("Lumi, ")
    assert first.reg_images == () and first.reg_image(3) is None and first.shown() == (first.image,)
    assert list(first.images()) == [first.image]


def test_a_reg_image_goes_with_its_image_unless_reg_images_are_left_out(prepared):
    (file,) = with_reg_images(prepared, 1)
    example = examples(prepared, make_recipe().dataset)[0]
    (reg_image,) = example.reg_images
    assert (
        reg_image.image.file == file
        and reg_image.image.size == (48, 80)
        and reg_image.caption == "1girl"
        and reg_image.matched
    )
    assert example.reg_image(0) == example.reg_image(7) == reg_image
    assert examples(prepared, PLAIN.dataset)[0].reg_images == ()


def test_all_reg_images_of_an_image_are_there_and_take_turns(prepared):
    files = with_reg_images(prepared, 3)
    example = examples(prepared, make_recipe().dataset)[0]
    assert [reg_image.image.file for reg_image in example.reg_images] == files
    assert [example.reg_image(earlier).image.file for earlier in range(4)] == [*files, files[0]]
    assert len({reg_image.image.content for reg_image in example.reg_images}) == 3


def test_reg_images_that_are_not_there_are_all_named_before_a_run(prepared):
    files = with_reg_images(prepared, 3)
    files[0].unlink()
    files[2].unlink()
    with pytest.raises(PrepError, match=r"regularization/Lumi/0\.png is not there") as caught:
        examples(prepared, make_recipe().dataset)
    assert "0-3.png is not there" in caught.value.message and "0-2.png" not in caught.value.message
    assert "prep regularize" in caught.value.hint


def test_a_reg_image_that_check_found_to_be_a_copy_is_left_out_and_the_others_stay(prepared):
    files = with_reg_images(prepared, 2)
    put(prepared, "keep", {"regularization/Lumi/0.png": False})
    assert [reg_image.image.file for reg_image in examples(prepared, make_recipe().dataset)[0].reg_images] == files[1:]


def test_reg_images_are_read_again_only_when_their_file_changed(prepared, monkeypatch):
    read = []
    digest = regularization.file_digest
    monkeypatch.setattr(regularization, "file_digest", lambda file: read.append(file) or digest(file))
    files = with_reg_images(prepared, 2)
    before = examples(prepared, make_recipe().dataset)[0].reg_images
    assert read == files
    assert examples(prepared, make_recipe().dataset)[0].reg_images == before and read == files
    files[1].write_bytes((prepared.root / prepared.kept()[4].path).read_bytes())
    os.utime(files[1], ns=(1, 1))
    after = examples(prepared, make_recipe().dataset)[0].reg_images
    assert read == [*files, files[1]] and after[0] == before[0]
    assert after[1].image.content != before[1].image.content


def test_a_concept_whose_weight_is_0_is_trained_on_without_reg_images(prepared):
    with_reg_images(prepared, 1)
    assert any(example.reg_images for example in examples(prepared, make_recipe().dataset))
    found = examples(prepared, make_recipe(prior_loss_weights={"Lumi": 0.0}).dataset)
    assert found and not any(example.reg_images for example in found)


def test_examples_have_the_views_that_the_recipe_asks_for_and_their_reg_images_with_them(prepared):
    with_reg_images(prepared, 1)
    example = examples(prepared, make_recipe(flip=True).dataset)[0]
    assert [view.flip for view in example.views] == [False, True] == [view.flip for view in example.shown()]
    assert len({image.key for image in example.images()}) == 4, "two views, and the regularization image with each"
    put(prepared, "caption", {example.entry.key: "Lumi, looking left"})
    assert examples(prepared, make_recipe(flip=True).dataset)[0].views == ()


def test_a_subject_is_read_of_the_record_for_face_crops(prepared):
    image = prepared.kept()[1]
    with prepared.transaction():
        prepared.put_measurements([Measurement(image.content, 400, 400, focus="ff" * 64)])
    recipe = make_recipe(face_crop=(1.1, 1.5))
    subjects = {seen.name: seen.subject for seen in read_dataset(prepared, recipe.dataset).seen}
    assert subjects[image.path].at == (0.5, 0.5) and sum(each is not None for each in subjects.values()) == 1
    found = {example.entry.key: example for example in examples(prepared, recipe.dataset)}
    assert len(found[image.path].views) == 4 and sum(bool(example.views) for example in found.values()) == 1


def test_tags_are_counted_by_concept_and_marks_are_no_tags(prepared):
    paths = [image.path for image in prepared.kept()]
    put(prepared, "caption", dict.fromkeys(paths, "Lumi, |||, 1girl;;;smile"))
    found = examples(prepared, PLAIN.dataset)
    assert tag_frequency(found, ("|||", ";;;")) == {"Lumi": {"Lumi": 6, "1girl": 6, "smile": 6}}
    assert "|||" not in tag_frequency(found)["Lumi"]


def test_the_digest_changes_with_anything_that_is_trained_on(prepared):
    before = dataset_digest(examples(prepared, PLAIN.dataset))
    assert dataset_digest(examples(prepared, PLAIN.dataset)) == before
    path = prepared.kept()[0].path
    put(prepared, "caption", {path: "another"})
    after = dataset_digest(examples(prepared, PLAIN.dataset))
    put(prepared, "repeats", {path: Repeats(1.51, 1)})
    multiplied = dataset_digest(examples(prepared, PLAIN.dataset))
    put(prepared, "bucket", {path: Bucket((48, 80), (50, 80), (1, 0, 49, 80), 0.04)})
    cropped = dataset_digest(examples(prepared, PLAIN.dataset))
    with_reg_images(prepared, 1)
    one = dataset_digest(examples(prepared, make_recipe().dataset))
    with_reg_images(prepared, 2)
    digests = {before, after, multiplied, cropped, one, dataset_digest(examples(prepared, make_recipe().dataset))}
    assert len(digests | {dataset_digest(examples(prepared, make_recipe(flip=True).dataset))}) == 7
