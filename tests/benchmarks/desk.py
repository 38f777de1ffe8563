"""The desk on a large set: the view of it, questions, counts, cells, and decisions, in seconds.

Run by hand: `python -m tests.benchmarks.desk [IMAGES]`. The set has only its record, no image files.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline.review.deciding.acts import decide
from pipeline.review.desk import Desk
from pipeline.review.query.searching import facets, search
from pipeline.review.snapshot.cells import cells
from pipeline.store.caption_files import write_captions
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.captions import CaptionReason
from pipeline.store.reasons.check import CheckReason
from pipeline.store.records import Decision, Image, Measurement, Tagger
from pipeline.tags.danbooru import tables

TAGS = 40
QUESTIONS = (
    "",
    "verdict:kept",
    "concept:characters/c7",
    "tag:smile",
    "smile",
    "-tag:smile tag:solo",
    "width>=1000 (tags<30 OR repeats>2)",
    "caption:hat -name:12",
    "path:*/c7/*1.png",
    "score:smile>=0.5",
)


def make(root: Path, count: int) -> None:
    """A set of so many images with forty tags each, known from its record alone."""
    draw = np.random.default_rng(0)
    vocabulary = ["solo", "smile", "hat", *sorted(tables.tags())[:2000]]
    with Manifest.open(root, create=True) as manifest, manifest.transaction():
        run = manifest.begin_run("curate", {})
        images, rows, measured, scores = [], [], [], {}
        for number in range(count):
            concept, content = f"characters/c{number % 40}", f"{number:064x}"
            path = f"images/characters~c{number % 40}/{number:06}.png"
            images.append(Image(path, concept, path, content, 1, "copy"))
            chosen = draw.choice(len(vocabulary), TAGS, replace=False)
            tags = [vocabulary[place] for place in chosen]
            rows.append(
                Decision(path, "caption", ", ".join(tags), CaptionReason.CHOSEN, {"tags": TAGS, "considered": 0})
            )
            figures = {"measured": {"size": [1200, 900], "sharpness": 100, "contrast": 50}}
            rows.append(Decision(path, "keep", number % 10 > 0, CheckReason.GOOD, figures))
            measured.append(Measurement(content, 1200, 900, "PNG", "RGB", sharpness=100.0, contrast=50.0))
            scores[content] = {tag: round(float(score), 3) for tag, score in zip(tags, draw.random(TAGS), strict=True)}
        manifest.put_images(images, run)
        manifest.put_measurements(measured)
        tagger = Tagger("bench", "1", "none", "CPU", dict.fromkeys(vocabulary, "general"), {"general": 0.35})
        manifest.put_tagger(tagger)
        manifest.put_scores(tagger.id, scores)
        manifest.put_decisions(run, ("caption", "keep"), rows)
        manifest.finish_run(run, {})
    with Manifest.open(root) as manifest:
        write_captions(manifest, run)


def timed(words: str, work: Callable[[], object]) -> None:
    start = time.perf_counter()
    work()
    print(f"{words:<60} {time.perf_counter() - start:8.3f} s")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "set"
        make(root, count)
        desk = Desk(root)
        timed(f"the view of {count:,} images", desk.snapshot)
        timed("the scores", desk.scores)
        snapshot = desk.snapshot()
        for question in QUESTIONS:
            timed(
                f"question {question or '(everything)'}",
                lambda question=question: search(snapshot, desk.scores, question),
            )
        rows = search(snapshot, desk.scores, "").rows
        timed("order by doubt:smile", lambda: search(snapshot, desk.scores, "", "doubt:smile"))
        timed("counts inside everything", lambda: facets(snapshot, rows))
        numbers = snapshot.ids[:200]
        timed("200 cells", lambda: desk.read(lambda manifest: cells(snapshot, manifest, numbers)))
        timed("one decision", lambda: decide(desk, {"ids": [0], "choice": {"keep": False}}))
        timed("the view after it", desk.snapshot)
        timed(
            "a tag added to 1,000 images",
            lambda: decide(desk, {"ids": list(range(1000)), "choice": {"add": ["smile"]}}),
        )
        timed("the list of proposals", lambda: desk.read(_proposals))
        desk.close()
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def _proposals(manifest: Manifest) -> int:
    from pipeline.review.proposals.finding import open_proposals

    return len(list(open_proposals(manifest, {})))


if __name__ == "__main__":
    main()
