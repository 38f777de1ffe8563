"""How much of what is planted is found, and how much of what is found was planted: python -m tests.proof.detectors"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.stages import curate
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.tags import TagReason
from pipeline.store.running.runner import run_stage
from pipeline.store.values.tags import TagAction
from pipeline.tags.editor import queries
from pipeline.tags.editor.filters import Filter, select
from pipeline.tags.statistics.coverage import ALWAYS_PRESENT

from .planted import CHARACTERS, LEARNABLE, TRAPS, Truth, World


@dataclass(frozen=True, slots=True)
class Figures:
    """What a detector came to: of `planted` faults and `found` ones, `right` are the same."""

    name: str
    planted: int
    found: int
    right: int

    @property
    def precision(self) -> float:
        """How many of those found were planted."""
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """How many of those planted were found."""
        return self.right / self.planted if self.planted else 1.0


def compared(name: str, planted: set, found: set) -> Figures:
    return Figures(name, len(planted), len(found), len(planted & found))


def measure(world: World, root: Path) -> list[Figures]:
    """Curate the set twice, with core traits pruned and with all of them kept, and compare what was found."""
    with world.put(root) as manifest:
        run_stage(manifest, curate.STAGE, curate.Options(compose="free"), _quiet)
        figures = list(_pruned(manifest, world))
        run_stage(manifest, curate.STAGE, curate.Options(prune="none"), _quiet)
        figures += _kept(manifest, world.truth)
    return figures


def _quiet(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def _pruned(manifest: Manifest, world: World) -> Iterator[Figures]:
    truth = world.truth
    rows = [(path, row) for path, tags in queries.rows_of(manifest, _paths(manifest)) for row in tags]
    needless = {(path, row.tag) for path, row in rows if row.reason == TagReason.IMPLIED}
    learnt = {parent for _, parent in LEARNABLE}
    yield compared(
        "implied duplicates, by name and table", *_apart(truth.implied, needless, lambda tag: tag not in learnt)
    )
    yield compared(
        "implied duplicates, learned from scores", *_apart(truth.implied, needless, lambda tag: tag in learnt)
    )
    lures = {parent for _, parent in TRAPS}
    caught = {(path, tag) for path, tag in needless - truth.implied if tag in lures}
    there = {(each.path, tag) for each in world.images for tag in lures & set(each.tags)} - truth.implied
    yield Figures("pairs that only look like duplicates, left alone", len(there), len(there), len(there - caught))
    yield compared(
        "colour and garment to join",
        truth.composed,
        {(path, row.tag) for path, row in rows if row.action == TagAction.ADDED and "from" in row.data},
    )
    core = {(row.data["trigger"], row.tag) for _, row in rows if row.reason == TagReason.CORE}
    yield compared("core traits of characters", truth.core, core)
    flags = {(path, flag) for path, row in manifest.decisions("flags").items() for flag in row.value}
    yield compared("images with watermark, text, border …", truth.flags, flags)
    constant = {
        (line["concept"], line["tag"])
        for line in queries.covered(manifest, select(manifest, Filter()), 5, 0.95)
        if line["verdict"] in (ALWAYS_PRESENT, queries.NEVER_ABSENT) and not line["concept"].startswith("written/")
    }
    yield compared("tags that are always on", truth.constant, constant)


def _kept(manifest: Manifest, truth: Truth) -> Iterator[Figures]:
    odd = [(path, each) for path, row in manifest.decisions("contradictions").items() for each in row.value]
    hair = {(path, each.attribute) for path, each in odd if each.rival and each.attribute == "hair colour"}
    yield compared("wrong hair colour", _curated(manifest, truth.wrong), hair)
    lacking = {(path, each.dominant) for path, each in odd if not each.rival and each.attribute == "hair colour"}
    yield compared("hair colour missing", _curated(manifest, truth.lacking), lacking)
    selection = select(manifest, Filter())
    words = {line["tag"] for line in queries.misspelt_in(manifest, selection) if line["meant"] in CHARACTERS}
    yield compared("misspelt trigger words", truth.misspelt, words)


def _paths(manifest: Manifest) -> set[str]:
    return {image.path for image in manifest.kept()}


def _curated(manifest: Manifest, planted: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Without the images whose captions a person wrote: nothing is said against those."""
    manual = manifest.manual_captions()
    return {each for each in planted if each[0] not in manual}


def _apart(
    planted: Iterable[tuple[str, str]], found: Iterable[tuple[str, str]], wanted: Callable[[str], bool]
) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    return {each for each in planted if wanted(each[1])}, {each for each in found if wanted(each[1])}


def table(figures: Iterable[Figures]) -> str:
    """The figures as Markdown."""
    lines = ["| fault | planted | found | precision | recall |", "|---|---:|---:|---:|---:|"]
    lines += [
        f"| {each.name} | {each.planted} | {each.found} | {each.precision:.3f} | {each.recall:.3f} |"
        for each in figures
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", type=int, default=80, help="images of every character")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        world = World(asked.seed, asked.each)
        print(f"{len(world.images)} images, seed {asked.seed}")
        print(table(measure(world, Path(scratch) / "set")))


if __name__ == "__main__":
    main()
