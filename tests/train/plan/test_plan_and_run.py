"""What the plan says of a run is what the run does: exposures, batches, regularization images, latents, held-out images."""

import json
import shutil
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from decided import decided
from prepared_sets import prepared_set

from pipeline.core.errors import PrepError
from pipeline.stages import train
from pipeline.store.manifest import Manifest
from pipeline.store.values import read
from pipeline.store.values.bucket import Bucket
from pipeline.store.values.regularization import RegularizationAssignment, RegularizationImage
from pipeline.store.values.repeats import Repeats
from train.data.latent_files import lying
from train.options.recipe import Recipe, make_recipe
from train.plan.base_shapes import shapes_of
from train.plan.latents import planned_latents
from train.plan.planned import PlannedRun, planned_run
from train.session import train_adapter

SIZES = [(24, 40), (32, 32), (32, 32), (40, 24)] * 3
QUICK = {"base": "miniature", "rank": 2, "batch_size": 4, "epochs": 2, "device": "cpu"}
RECIPES = {
    "plain": (0, {"validation": "none"}),
    "steps that end within an epoch": (1, {"validation": "none", "steps": 7}),
    "views": (3, {"flip": True, "flip_guard": ("never said",), "color_jitter": 0.1, "variants": 2, "steps": 5}),
    "moved crops": (1, {"random_crop": True, "variants": 2, "steps": 3}),
    "several regularization images": (3, {"validation": "none"}),
    "no regularization": (3, {"prior_loss_weight": 0.0, "steps": 3}),
    "held-out validation": (1, {"validation": "held-out", "validation_share": 0.2, "epochs": 1}),
    "held-out validation and views": (3, {"validation": "held-out", "flip": True, "flip_guard": (), "steps": 3}),
    "gradient accumulation": (1, {"validation": "none", "gradient_accumulation_steps": 0, "epochs": 1}),
    "captions left out": (0, {"validation": "none", "caption_dropout": 0.5, "tag_dropout": 0.5, "steps": 3}),
}
"""Regularization images for each image, and options."""


def quiet(what: str, done: int, total: int) -> None:
    pass


def regularize(manifest: Manifest, count: int) -> None:
    """Give every image but the last so many regularization images, and the first a user-supplied one that is shared."""
    kept, buckets, rows = manifest.kept(), read.buckets(manifest), []
    folder = manifest.root / "regularization" / "Lumi"
    folder.mkdir(parents=True)
    for number, image in enumerate(kept[:-1]):
        size, own = buckets[image.path].size, []
        for place in range(count):
            name = f"regularization/Lumi/{number}-{place}.png"
            shutil.copyfile(manifest.root / kept[(number + place + 1) % len(kept)].path, manifest.root / name)
            own.append(RegularizationImage(name, "1girl", size, place))
        if number < 2:
            cut = Bucket(size, (48, 48), (0, 0, *size))
            own.append(RegularizationImage("regularization/Lumi/0-0.png", "1girl", size, None, False, cut))
        rows.append(decided(image.path, "regularization", RegularizationAssignment(tuple(own))))
    with manifest.transaction():
        manifest.put_rows(manifest.begin_run("regularize", {}), rows)


@pytest.fixture
def manifest(tmp_path: Path):
    """Twelve images in three buckets with crops that leave something out, shown 1.3 times an epoch."""
    manifest = prepared_set(tmp_path / "set", SIZES, Repeats(1.3, 1))
    wider = [
        decided(path, "bucket", Bucket((width, height), (width + 8, height), (4, 0, width + 4, height), 0.1))
        for path, bucket in list(read.buckets(manifest).items())[::2]
        for width, height in [bucket.size]
    ]
    with manifest.transaction():
        manifest.put_rows(manifest.begin_run("bucket", {}), wider)
    yield manifest
    manifest.close()


def planned(manifest: Manifest, recipe: Recipe) -> tuple[PlannedRun, int, int]:
    """(the run, latents needed, latents cached)"""
    run = planned_run(manifest, recipe)
    base, _ = shapes_of(recipe.model)
    latents = planned_latents(manifest.root, run.split, recipe, base)
    assert not latents.several and latents.cached is not None
    return run, len(latents.sizes), latents.cached


def logged(manifest: Manifest) -> list[dict]:
    text = (manifest.root / "runs/adapter/log.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize(("reg_images", "options"), RECIPES.values(), ids=RECIPES)
def test_the_plan_says_what_the_run_does(manifest, reg_images, options):
    if reg_images:
        regularize(manifest, reg_images)
    recipe = make_recipe(**QUICK | options)
    run, needed, cached = planned(manifest, recipe)
    reported = train.plan(manifest, recipe)
    assert cached == 0 and run.problem is None
    trained = train_adapter(manifest, recipe, quiet)
    rows, schedule = logged(manifest), run.schedule
    batches = [[key for key, *_ in row["images"]] for row in rows]
    shown = Counter(key for batch in batches for key in batch)
    assert trained.steps == len(rows) == schedule.steps == reported.counts["steps"]
    assert {key: count for key, count in run.exposures().items() if count} == shown
    assert reported.counts["exposures_in_the_run"] == shown.total()
    full = sum(len(batch) == recipe.batches.batch_size for batch in batches)
    assert (reported.counts["full_batches"], reported.counts["partial_batches"]) == (full, len(batches) - full)
    last = max(row["epoch"] for row in rows)
    assert last == schedule.epochs + (schedule.beyond > 0)
    assert {step for step, epoch in schedule.ends.items() if epoch < last} == {
        row["step"] for row, after in pairwise(rows) if after["epoch"] != row["epoch"]
    }
    beside = sum(len(row.get("reg_images", ())) for row in rows)
    having = {example.entry.key for example in run.training if example.reg_images}
    assert beside == sum(count for key, count in shown.items() if key in having)
    assert (
        (beside > 0)
        == (reported.counts["regularization_images"] > 0)
        == bool(reg_images and recipe.dataset.regularized)
    )
    held = json.loads((manifest.root / "runs/adapter/run.json").read_text(encoding="utf-8"))["set"]["held out"]
    assert held == [example.entry.key for example in run.split.held_out] and not set(held) & set(shown)
    assert reported.counts["images_held_out"] == len(held)
    assert len(lying(manifest.root / "cache/latents")) == needed
    assert planned(manifest, recipe)[1:] == (needed, needed), "the same latents, found by their names"
    assert f"latents: {needed} are needed, {needed} of them are cached already" in train.plan(manifest, recipe).info


def test_latents_that_are_gone_or_cut_short_are_planned_again(manifest):
    recipe = make_recipe(**QUICK, steps=1, validation="none")
    train_adapter(manifest, recipe, quiet)
    one, other, *_ = sorted((manifest.root / "cache/latents").glob("*/*.safetensors"))
    one.unlink()
    other.write_bytes(other.read_bytes()[:-1])
    assert planned(manifest, recipe)[1:] == (12, 10)
    assert planned(manifest, make_recipe(**QUICK, vae_precision="bf16"))[1:] == (12, 0), "those are others"


def test_a_plan_tells_of_lost_regularization_images_what_the_run_refuses_them_with(manifest):
    regularize(manifest, 3)
    for name in ("0-1", "5-2"):
        (manifest.root / f"regularization/Lumi/{name}.png").unlink()
    recipe = make_recipe(**QUICK)
    (note,) = [each for each in train.plan(manifest, recipe).warnings if each.startswith("training cannot begin: ")]
    with pytest.raises(PrepError, match="is not there") as caught:
        train_adapter(manifest, recipe, quiet)
    assert note == f"training cannot begin: {caught.value.message}; {caught.value.hint}"
    assert "0-1.png" in note and "5-2.png" in note and "prep regularize" in note
    assert planned_run(manifest, recipe).reg_image_files == 33, "they are counted all the same"
    assert planned_run(manifest, make_recipe(**QUICK, prior_loss_weight=0.0)).problem is None


@pytest.mark.parametrize("field", ["bucket", "caption", "repeats"])
def test_what_is_not_decided_is_refused_by_plan_and_run_in_the_same_words(manifest, field):
    with manifest.transaction():
        manifest.put_decisions(manifest.begin_run("test", {}), (field,), ())
    recipe, said = make_recipe(**QUICK), []
    for begin in (lambda: train.plan(manifest, recipe), lambda: train_adapter(manifest, recipe, quiet)):
        with pytest.raises(PrepError, match=f"12 kept images have no {field}") as caught:
            begin()
        said.append((caught.value.message, caught.value.hint))
    assert said[0] == said[1]


def test_new_regularization_images_are_hashed_with_progress_before_the_plan(manifest):
    regularize(manifest, 1)
    seen = []
    for _ in range(2):
        train.measure(manifest, make_recipe(**QUICK), lambda *each: seen.append(each))
    assert seen == [("hashing regularization images", 11, 11)]
    assert not planned_run(manifest, make_recipe(**QUICK)).dataset.lost
