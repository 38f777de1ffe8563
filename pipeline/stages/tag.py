"""Score every kept picture with a tagger; scores are stored by content, so a threshold can change later.

A picture that was scored by the same model before is not decoded again, wherever it lies now. Which scores become
tags is decided by `prep curate`. Models are fetched from the Hugging Face hub at a pinned revision when first used.
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.errors import PrepError
from pipeline.images import load_rgb
from pipeline.manifest import Manifest
from pipeline.records import THE_SET, Decision, Plan, Tagger
from pipeline.stage import Progress
from taggers.download import revision_of
from taggers.errors import TaggerError
from taggers.session import check_device, runtime_clash
from taggers.spec import DEFAULT, find_spec

if TYPE_CHECKING:
    from taggers.engine import OnnxTagger

NAME = "tag"
READS = ("images", "keep")
MAKES = ("scores",)
USES = ("onnxruntime", "onnxruntime-gpu", "pillow", "opencv-python-headless")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    model: str = DEFAULT
    """Tagger: wd-swinv2-v3, wd-eva02-large-v3 and others by name, miniature, or a folder with model.onnx and
    selected_tags.csv."""
    device: str = "auto"
    """Where it runs: auto, cpu, cuda, or cuda:1 for the second GPU."""
    batch_size: int = 0
    """Pictures scored at once; 0 takes 4 on the CPU and 32 on a GPU."""
    threads: int = 0
    """Threads the model runs in on the CPU; 0 takes every core."""
    decoders: int = 0
    """Threads that decode pictures; 0 takes half the cores, at most 4."""

    def __post_init__(self) -> None:
        with prep_errors():
            check_device(self.device)
        if not 0 <= self.batch_size <= 1024:
            raise PrepError(f"batch_size is {self.batch_size}", "give 1 to 1024, or 0 to choose by device")
        if not 0 <= self.threads <= 256 or not 0 <= self.decoders <= 256:
            raise PrepError(f"threads is {self.threads}, decoders is {self.decoders}", "give 0 to 256")


def plan(manifest: Manifest, options: Options) -> Plan:
    """Count what would be scored. Needs no model on this machine, and decides nothing."""
    with prep_errors():
        tagger = identity(options.model)
    contents = {image.content for image in manifest.kept()}
    missing = len(contents - manifest.scored(tagger.id))
    notes = _clash()
    if not contents:
        notes.append("the set has no kept pictures")
    return Plan(
        NAME,
        ("tagger",),
        (Decision(THE_SET, "tagger", tagger.id, "used last"),),
        notes=tuple(notes),
        counts={f"to score with {tagger.name}": missing, "scored before": len(contents) - missing},
    )


def work(manifest: Manifest, options: Options, progress: Progress) -> Mapping[str, int]:
    """Score what has no scores yet, a batch to a transaction: a killed run loses one batch."""
    with prep_errors():
        tagger = identity(options.model)
    scored = manifest.scored(tagger.id)
    paths = {image.content: image.path for image in reversed(manifest.kept()) if image.content not in scored}
    todo = dict(sorted(paths.items(), key=lambda item: item[1]))
    if not todo:
        return {}
    from taggers.engine import load_tagger

    with prep_errors():
        engine = load_tagger(options.model, options.device, options.threads)
    return _score(manifest, engine, tagger, todo, options, progress)


def identity(model: str) -> Tagger:
    """Which tagger a name stands for, without loading it: provider and categories are still empty."""
    spec = find_spec(model)
    return Tagger(spec.name, revision_of(spec), spec.preprocessing, provider="", categories={})


def _score(
    manifest: Manifest,
    engine: OnnxTagger,
    tagger: Tagger,
    todo: Mapping[str, str],
    options: Options,
    progress: Progress,
) -> Mapping[str, int]:
    for warning in engine.session.warnings:
        if warning not in _clash():
            log.warning(warning)
    with manifest.transaction():
        manifest.put_tagger(
            replace(
                tagger,
                provider=engine.session.provider,
                categories={label.name: label.category for label in engine.labels},
            )
        )
    counts: Counter[str] = Counter()
    done = 0
    provider = engine.session.provider.removesuffix("ExecutionProvider")
    pictures = ((content, manifest.root / path) for content, path in todo.items())
    scoring = engine.score(pictures, load_rgb, options.batch_size, options.decoders)
    with prep_errors(), contextlib.closing(scoring):
        for batch in scoring:
            good = {each.key: each.scores for each in batch if not each.problem}
            with manifest.transaction():
                manifest.put_scores(tagger.id, good)
            for each in batch:
                counts["could not be read" if each.problem else f"scored on {provider}"] += 1
                if each.problem:
                    log.warning("%s", each.problem)
            done += len(batch)
            progress(f"scoring with {tagger.name} on {provider}", done, len(todo))
    return counts


def _clash() -> list[str]:
    """The warning that several ONNX Runtime packages are installed, in a list that is empty when all is well."""
    clash = runtime_clash()
    return [f"{clash[0]}; mend it with: {clash[1]}"] if clash else []


@contextlib.contextmanager
def prep_errors() -> Iterator[None]:
    """A tagger's problem as one of prep's."""
    try:
        yield
    except TaggerError as error:
        raise PrepError(error.message, error.hint) from error
