"""How long a run takes to its first batch when all is cached, and how plan and start grow with the set.

python -m tests.benchmarks.start [--images 1000 10000 100000]: for sets of so many made-up images with a regularization
image each, whose latents all lie in the cache, prints seconds of `prep train --dry-run`'s plan, of reading the record,
of what else is decided before the model is loaded (images are held out by their likeness, all is hashed), of judging
the cache, of writing down what is trained on, and of the first batch. The files of latents are sparse, right in name and
length, as a start looks at no more.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.cli.main import COLLECT_AFTER
from pipeline.core.files import write_text
from pipeline.stages import train
from pipeline.store.manifest import Manifest
from pipeline.store.records import Image, Measurement
from pipeline.store.values.bucket import Bucket
from pipeline.store.values.regularization import RegularizationAssignment, RegularizationImage
from pipeline.store.values.repeats import Repeats
from tests.pipeline.decided import decided, scored, trigger
from train.data.batches import planned_batches
from train.data.dataset import Dataset, Example, examples, ready_dataset, views_to_cache
from train.data.latent_cache import LatentCache
from train.data.latent_files import file_bytes, latent_file
from train.evaluation.split import SplitDataset, split_dataset
from train.models.base import BaseModel
from train.models.load import load_base
from train.options.recipe import Recipe, make_recipe
from train.run.run_record import SET, by_image, images_of

SIZES = [(64, 64), (56, 72), (72, 56), (48, 80), (80, 48), (40, 96), (96, 40), (64, 56)]
TAGS = [f"tag number {number}" for number in range(400)]


def made_up(manifest: Manifest, count: int) -> None:
    """Images in 400 concepts with 20 tags each, and a regularization image for each that was hashed before."""
    draw, images, rows, files = np.random.default_rng(0), [], [], []
    chosen = draw.integers(0, len(TAGS), (count, 20))
    (manifest.root / "regularization" / "x").mkdir(parents=True)
    for number in range(count):
        concept = f"c{number % 400}"
        path, reg_image = f"images/{concept}/{number:06}.png", f"regularization/x/{number:06}.png"
        content = hashlib.sha256(path.encode()).hexdigest()
        images.append(Image(path, concept, path, content, 1, "copy"))
        width, height = SIZES[number % len(SIZES)]
        tags = [TAGS[place] for place in chosen[number]]
        bucket = Bucket((width, height), (width, height), (0, 0, width, height))
        with_caption = RegularizationAssignment(
            (RegularizationImage(reg_image, ", ".join(tags), (width, height), 420),)
        )
        rows += [
            decided(path, "bucket", bucket),
            decided(path, "caption", ", ".join((concept, *tags))),
            decided(path, "tags", [trigger(concept), *map(scored, tags)]),
            decided(path, "repeats", Repeats(1 + number % 7 / 3, 1)),
            decided(path, "regularization", with_caption),
        ]
        (manifest.root / reg_image).write_bytes(b"")
        files.append(
            (
                reg_image,
                0,
                (manifest.root / reg_image).stat().st_mtime_ns,
                hashlib.sha256(reg_image.encode()).hexdigest(),
            )
        )
    with manifest.transaction():
        run = manifest.begin_run("made up", {})
        manifest.put_images(images)
        manifest.put_files(files)
        manifest.put_measurements(
            Measurement(image.content, 512, 512, phash=draw.bytes(32).hex(), hash_quality=100, coding="lossless")
            for image in images
        )
        manifest.put_decisions(run, ("bucket", "caption", "tags", "repeats", "regularization"), rows)
        manifest.finish_run(run, {})


def filled(cache: LatentCache, folder: Path, found: tuple[Example, ...]) -> None:
    """Lay an empty file of the right name and length in the cache for every image."""
    images = [image for example in found for image in example.images()]
    for number in range(256):
        (folder / f"{number:02x}").mkdir(parents=True)
    for image in images:
        file = latent_file(folder, cache.name(image))
        descriptor = os.open(file, os.O_CREAT | os.O_WRONLY)
        os.truncate(descriptor, file_bytes(cache.shape(image)))
        os.close(descriptor)


def seconds(action: Callable[[], Any]) -> tuple[Any, float, float]:
    """(result, seconds on the clock, of the processor)"""
    start, busy = time.perf_counter(), time.process_time()
    result = action()
    return result, time.perf_counter() - start, time.process_time() - busy


def split_and_hashed(manifest: Manifest, dataset: Dataset, recipe: Recipe) -> SplitDataset:
    split = split_dataset(manifest, dataset, recipe.validation, recipe.run.seed)
    split.digest()
    return split


def quiet(what: str, done: int, total: int) -> None:
    assert total == 0, "something was not cached"


def measure(count: int, base: BaseModel, recipe: Recipe) -> None:
    with tempfile.TemporaryDirectory() as scratch, Manifest.open(Path(scratch) / "set", create=True) as manifest:
        made_up(manifest, count)
        folder = manifest.root / "cache" / "latents"
        filled(LatentCache(folder, base), folder, examples(manifest, recipe.dataset))
        gc.collect()
        _, plan, plan_busy = seconds(lambda: train.plan(manifest, recipe))
        found, *read = seconds(lambda: ready_dataset(manifest, recipe.dataset))
        split, *decided = seconds(lambda: split_and_hashed(manifest, found, recipe))
        cache = LatentCache(folder, base)
        _, *judged = seconds(lambda: cache.fill(views_to_cache(split.every()), quiet))
        _, *noted = seconds(lambda: write_text(folder / SET, by_image(images_of(tuple(split.every())))))
        batches = planned_batches(recipe.batches, recipe.run.seed, split.training, 0)
        _, *first = seconds(lambda: next(batches))
    parts = np.array([read, decided, judged, noted, first])
    columns = (plan, *parts[:, 0], parts[:, 0].sum(), plan_busy, parts[:, 1].sum())
    print(f"{count:>9} " + " ".join(f"{each:>12.2f}" for each in columns), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10_000, 100_000])
    asked = parser.parse_args()
    gc.set_threshold(*COLLECT_AFTER)  # as prep does
    base = load_base("miniature", device="cpu")
    names = ("plan s", "record s", "decided s", "cache s", "noted s", "batch s", "start s", "plan proc.", "start proc.")
    print(f"{'images':>9} " + " ".join(f"{name:>12}" for name in names))
    for count in asked.images:
        measure(count, base, make_recipe(base="miniature", epochs=10, device="cpu"))


if __name__ == "__main__":
    main()
