"""A plan counts the latents that training will cache, and the regularization images that there are."""

from pathlib import Path

import pytest
from decided import decided

from pipeline.stages import train
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.check import CheckReason
from pipeline.store.records import Decision, Image
from pipeline.store.values.bucket import Bucket
from pipeline.store.values.regularization import RegularizationAssignment, RegularizationImage
from pipeline.store.values.repeats import Repeats
from train.data.dataset import examples
from train.options.recipe import make_recipe

WIDE = Bucket((64, 48), (80, 48), (8, 0, 72, 48), 0.2)
TALL = Bucket((48, 64), (48, 64), (0, 0, 48, 64))


@pytest.fixture
def manifest(tmp_path: Path):
    """Twelve images: ten with two regularization images generated for each, two beside the same three given ones, cut to
    each one's size."""
    manifest = Manifest.open(tmp_path / "set", create=True)
    images, rows = [], []
    for number in range(12):
        path, bucket = f"images/Lumi/{number}.png", (WIDE, TALL)[number % 2]
        images.append(Image(path, "Lumi", path, f"{number:064x}", 1, "copy"))
        paths = [f"regularization/Lumi/{number}-{reg_image}.png" for reg_image in range(2)]
        reg_images = [RegularizationImage(name, "1girl", bucket.size, seed) for seed, name in enumerate(paths, 1)]
        if number >= 10:
            paths = [f"regularization/user/{name}.png" for name in "abc"]
            cut = Bucket(bucket.size, (96, 96), (0, 0, *bucket.size), 0.1)
            turns = (*paths, paths[0])
            reg_images = [RegularizationImage(name, "1girl", bucket.size, None, False, cut) for name in turns]
        for reg_image in paths:
            (tmp_path / "set" / reg_image).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "set" / reg_image).write_bytes(reg_image.encode())
        rows += [
            decided(path, "bucket", bucket),
            decided(path, "caption", f"Lumi, 1girl{', looking left' if number == 1 else ''}"),
            decided(path, "repeats", Repeats(1.0, 1)),
            decided(path, "regularization", RegularizationAssignment(tuple(reg_images))),
        ]
    with manifest.transaction():
        run = manifest.begin_run("test", {})
        manifest.put_images(images)
        manifest.put_decisions(run, ("bucket", "caption", "repeats", "regularization"), rows)
        manifest.finish_run(run, {})
    yield manifest
    manifest.close()


def reported(manifest: Manifest, **options) -> int:
    """The cached latents that the plan tells of."""
    plan = train.plan(manifest, make_recipe(base="miniature", **options))
    (remark,) = [each for each in plan.info if " cached latents" in each]
    return int(remark.partition(" cached latents")[0].rpartition(" ")[2])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"flip": True},
        {"color_jitter": 0.1, "variants": 3},
        {"random_crop": True},
        {"flip": True, "color_jitter": 0.1, "random_crop": True},
        {"flip": True, "prior_loss_weight": 0.0},
        {"validation": "held-out", "validation_share": 0.4},
    ],
    ids=lambda options: " ".join(options) or "plain",
)
def test_what_is_reported_is_what_training_caches(manifest, options):
    recipe = make_recipe(base="miniature", **options)
    keys = {image.key for example in examples(manifest, recipe.dataset) for image in example.images()}
    assert reported(manifest, **options) == len(keys)


def test_latents_are_worked_by_hand(manifest):
    # twelve images, ten times two painted regularization images, three given ones in each of two sizes
    assert reported(manifest) == 12 + 20 + 6
    # mirrored once more all but the image that looks left and its regularization images
    assert reported(manifest, flip=True) == 38 + 11 + 18 + 6
    assert reported(manifest, prior_loss_weight=0.0) == 12


def test_every_reg_image_is_counted_and_those_that_are_copies_are_not(manifest):
    def counted() -> int:
        return train.plan(manifest, make_recipe(base="miniature")).counts["regularization_images"]

    assert counted() == 20 + 3
    copies = ("regularization/Lumi/0-1.png", "regularization/user/b.png")
    with manifest.transaction():
        run = manifest.begin_run("check", {})
        manifest.put_rows(run, [Decision(path, "keep", False, CheckReason.DUPLICATE_OF_TRAINING) for path in copies])
    assert counted() == 19 + 2
    assert reported(manifest) == 12 + 19 + 4


def test_images_whose_reg_images_are_all_copies_have_none(manifest):
    with manifest.transaction():
        run = manifest.begin_run("check", {})
        paths = [f"regularization/Lumi/0-{reg_image}.png" for reg_image in range(2)]
        manifest.put_rows(run, [Decision(path, "keep", False, CheckReason.DUPLICATE_OF_TRAINING) for path in paths])
    warnings = train.plan(manifest, make_recipe(base="miniature")).warnings
    assert f"1 images have no regularization image; make them with: prep regularize {manifest.root}" in warnings


def test_a_painted_reg_image_is_shown_whole_and_a_given_one_as_it_is_cut():
    assert RegularizationImage("x", "", (64, 48), 1).cropping == Bucket((64, 48), (64, 48), (0, 0, 64, 48))
    assert RegularizationImage("x", "", (64, 48), None, False, WIDE).cropping == WIDE
