"""How long a large set takes to be curated, and how much memory that needs: python -m tests.benchmarks.curation

Makes the record of a set without its images: characters and artists, forty tags above the floor in every image, then
plans it, puts the rows down, plans it again as it is, and plans it with another threshold.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.stages import curate
from pipeline.store.manifest import Manifest
from pipeline.store.records import Image, Tagger

COLOURS = ("black", "brown", "blonde", "red", "blue", "green", "pink", "white", "purple", "grey")
NOUNS = ("dress", "shirt", "skirt", "footwear", "gloves", "ribbon", "hat", "jacket", "necktie", "swimsuit")
LOOKS = [f"{colour} hair" for colour in COLOURS] + [f"{colour} eyes" for colour in COLOURS]
USUAL = ["1girl", "solo", "smile", "long hair", "looking at viewer", "outdoors", "day", "hat", "witch hat", "boots"]


def vocabulary(size: int) -> list[str]:
    """Tags of a tagger: what is everywhere, then, in this order from common to rare, garments in colours among others of
    which one in five is one, so that an image has a few of them; then looks, and many that are rare."""
    garments = [*NOUNS, *(f"{colour} {noun}" for colour in COLOURS for noun in NOUNS)]
    mixed = [
        tag for place, tag in enumerate(garments) for tag in (*(f"thing {place} {more}" for more in range(4)), tag)
    ]
    named = [*USUAL, *mixed, *LOOKS]
    return named + [f"thing {number}" for number in range(size - len(named))]


def scores(rng: np.random.Generator, tags: list[str], look: tuple[str, str], each: int) -> dict[str, float]:
    """Tag → probability of one image: her looks, the usual, and tags as rare as in a real vocabulary."""
    found = {tag: round(float(score), 4) for tag, score in zip(USUAL, rng.uniform(0.3, 1, len(USUAL)), strict=True)}
    for tag in look:
        found[tag] = round(float(rng.uniform(0.2, 1)), 4)
    for place in (rng.zipf(1.2, 2 * each) + len(USUAL)) % len(tags):
        if len(found) >= each:
            break
        found[tags[place]] = round(float(rng.uniform(0.1, 1)), 4)
    return found


def make(root: Path, imgs: int, concepts: int, each: int) -> None:
    """The record of a set."""
    rng = np.random.default_rng(0)
    tags = vocabulary(10000)
    tagger = Tagger("wd-swinv2-v3", "1", "p", "CPU", dict.fromkeys(tags, "general"))
    images, found = [], {}
    for number in range(imgs):
        who = number % concepts
        kind = "artists" if who % 3 == 0 else "characters"
        content = hashlib.sha256(str(number).encode()).hexdigest()
        path = f"images/{kind}~c{who}/{number:06}.png"
        images.append(Image(path, f"{kind}/c{who}", f"/src/{number}", content, 1, "copy"))
        look = (f"{COLOURS[who % 10]} hair", f"{COLOURS[who // 10 % 10]} eyes")
        found[content] = scores(rng, tags, look, each)
    with Manifest.open(root, create=True) as manifest, manifest.transaction():
        manifest.put_images(images)
        manifest.put_tagger(tagger)
        manifest.put_scores(tagger.id, found)


@contextlib.contextmanager
def timed(what: str) -> Iterator[None]:
    start, busy = time.perf_counter(), time.process_time()
    yield
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    print(f"{what:<28} {seconds:7.2f} s, of it {busy:7.2f} s of processor, at most {peak():5.2f} GB so far", flush=True)


def peak() -> float:
    """The largest amount of memory that this process held, in GB."""
    if sys.platform == "win32":
        return float("nan")
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def measure(root: Path) -> None:
    with Manifest.open(root) as manifest:
        with timed("plan"):
            plan = curate.plan(manifest, curate.Options())
        print(f"{len(plan.decisions)} rows, {len(plan.table)} lines, {len(plan.warnings)} warnings")
        with timed("put the rows down"), manifest.transaction():
            manifest.put_decisions(1, plan.fields, plan.decisions)
        del plan
        with timed("plan again"):
            plan = curate.plan(manifest, curate.Options())
        assert not manifest.changes(plan.fields, plan.decisions)
        del plan
        with timed("plan with another threshold"):
            curate.plan(manifest, curate.Options(general=0.5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--concepts", type=int, default=60)
    parser.add_argument("--tags", type=int, default=40)
    parser.add_argument("--set", type=Path, help="a folder to keep the record in and to take it from the next time")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = asked.set or Path(scratch) / "set"
        if not (root / "manifest.db").exists():
            make(root, asked.images, asked.concepts, asked.tags)
        print(f"{asked.images} images, {asked.concepts} concepts, {asked.tags} tags each")
        measure(root)


if __name__ == "__main__":
    main()
