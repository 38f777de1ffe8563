"""Score every kept image with a tagger; scores are stored by content, so a threshold can change later.

An image that was scored by the same model before is not decoded again, wherever it lies now. Which scores become
tags is decided by `prep curate`. Models are fetched from the Hugging Face hub at a pinned revision when first used.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipeline.core.decoding.image_io import decode, load_rgb, open_image
from pipeline.core.errors import PrepError
from pipeline.store import records
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.tagging import TaggerReason
from pipeline.store.records import THE_SET, Decision, Plan, Tagger
from pipeline.store.running.stage import ProgressCallback, Stage, WorkResult
from taggers.download import pinned, published_sha256, revision_of
from taggers.errors import TaggerError
from taggers.registry import DEFAULT, find_spec
from taggers.session import check_device, runtime_clash
from taggers.spec import ModelSpec
from taggers.thresholds import holding

if TYPE_CHECKING:
    from PIL.Image import Image

    from taggers.engine import OnnxTagger

NAME = "tag"
JPEG_ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif")
OVERSAMPLED = 2
"""Fast decoding leaves at least so many times the pixels per side that the model sees."""
COMPARED = 8
LOOKED_AT = 64
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    model: str = DEFAULT
    """Tagger: wd-swinv2-v3, wd-eva02-large-v3, joytag, pixai-v0.9, cl-tagger-1.02, camie-v2 and others by name,
    miniature, or a folder with model.onnx and selected_tags.csv."""
    also: tuple[str, ...] = ()
    """More taggers to score with, named as the first is; `prep curate` combines them."""
    decode: Literal["exact", "fast"] = "exact"
    """How JPEGs are decoded: exact, or fast: large ones at a reduced size, never below twice what the model sees.
    Fast scores differ a little and are kept apart from exact ones; how much they differ is reported."""
    device: str = "auto"
    """Where it runs: auto, cpu, cuda, cuda:1 for the second GPU; or, with an ONNX Runtime that has it, directml, rocm, migraphx,
    coreml, openvino or tensorrt."""
    batch_size: int = 0
    """Images scored at once; 0 takes 4 on the CPU and 32 on a GPU."""
    threads: int = 0
    """Threads the model runs in on the CPU; 0 takes every core."""
    decoders: int = 0
    """Threads that decode images; 0 takes one for every core, at most 16."""

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
        specs = _specs(manifest, options)
        taggers = [identity(spec, options.decode) for spec in specs]
        checksums = [published_sha256(spec) for spec in specs]
    contents = {image.content for image in manifest.kept()}
    counts = {}
    for tagger in taggers:
        missing = len(contents - manifest.scored(tagger.id))
        counts[f"to_score:{tagger.name}"] = missing
        before = "scored_before" if len(taggers) == 1 else f"scored_before_by:{tagger.name}"
        counts[before] = len(contents) - missing
    ids = [tagger.id for tagger in taggers]
    warnings = _clash() + ([] if contents else ["the set has no kept images"])
    known = [(tagger.name, checksum) for tagger, checksum in zip(taggers, checksums, strict=True) if checksum]
    used = Decision(THE_SET, "tagger", ids, TaggerReason.USED_LAST, {"checksums": known})
    return Plan(NAME, ("tagger",), (used,), warnings=tuple(warnings), counts=counts)


def work(manifest: Manifest, options: Options, progress: ProgressCallback) -> WorkResult:
    """Score what has no scores yet, a batch to a transaction: a killed run loses one batch."""
    with prep_errors():
        specs = _specs(manifest, options)
        taggers = [identity(spec, options.decode) for spec in specs]
    tally = Tally()
    for spec, tagger in zip(specs, taggers, strict=True):
        scored = manifest.scored(tagger.id) | tally.unreadable
        images = {image.content: image for image in reversed(manifest.kept()) if image.content not in scored}
        todo = sorted(images.values(), key=lambda image: image.path)
        if todo:
            _score(manifest, spec, tagger, todo, options, progress, tally)
    if tally.unreadable:
        tally.counts["unreadable_images"] = len(tally.unreadable)
    return WorkResult(tally.counts)


def identity(spec: ModelSpec, decoding: str = "exact") -> Tagger:
    """Which tagger a pinned spec is, without loading it: provider and categories are still empty."""
    downscaled = f"-draft{OVERSAMPLED}" if decoding == "fast" else ""
    return Tagger(spec.name, revision_of(spec), spec.preprocessing + downscaled, provider="", categories={})


def load_reduced(path: Path, least: Callable[[tuple[int, int]], tuple[int, int]]) -> Image:
    """`load_rgb`, but of a JPEG no more than the coefficients it takes to give at least `least(its size)` pixels."""
    with open_image(path) as opened:
        opened.draft(None, least(opened.size))
        colours = decode(opened, path)
    colours = colours.copy() if colours is opened else colours
    colours.info.clear()
    return colours


@dataclass(slots=True)
class Tally:
    """What a run has to say at its end."""

    counts: Counter[str] = field(default_factory=Counter)
    unreadable: set[str] = field(default_factory=set)
    """Contents that gave no pixels."""


def _specs(manifest: Manifest, options: Options) -> list[ModelSpec]:
    """The taggers asked for, each at its commit. One without a revision of its own keeps that of its first use here."""
    known = _used_last(manifest)
    known |= {tagger.name: tagger.revision for tagger in reversed(manifest.taggers().values())}
    specs = [find_spec(name) for name in (options.model, *options.also)]
    specs = [pinned(spec, "" if spec.revision else known.get(spec.name, "")) for spec in specs]
    for spec, times in Counter((spec.name, spec.revision, spec.folder) for spec in specs).items():
        if times > 1:
            raise TaggerError(f"the tagger {spec[0]} is named {times} times", "name each tagger once, in model or also")
    return specs


def _used_last(manifest: Manifest) -> dict[str, str]:
    """Name → revision of the taggers that were planned last, whether they scored anything or not."""
    row = manifest.decisions("tagger").get(THE_SET)
    ids = [] if row is None else row.value
    return {name: rest.partition("/")[0] for name, _, rest in (each.partition("@") for each in ids)}


def _score(
    manifest: Manifest,
    spec: ModelSpec,
    tagger: Tagger,
    todo: Sequence[records.Image],
    options: Options,
    progress: ProgressCallback,
    tally: Tally,
) -> None:
    """Load one tagger and score images with it."""
    from taggers.engine import load_tagger

    with prep_errors():
        engine = load_tagger(spec, options.device, options.threads)
    for warning in engine.warnings:
        if warning not in _clash():
            log.warning("%s", warning)
    with manifest.transaction():
        manifest.put_tagger(
            replace(
                tagger,
                provider=engine.session.provider,
                categories=engine.categories,
                thresholds=engine.spec.thresholds,
                tag_thresholds=engine.tag_thresholds,
                sha256=engine.sha256,
            )
        )
    load = _loader(engine) if options.decode == "fast" else load_rgb
    if options.decode == "fast":
        _tell_drift(manifest.root, engine, todo, tally)
    done, on = 0, engine.session.provider.removesuffix("ExecutionProvider")
    scoring = engine.score(
        ((image.content, manifest.root / image.path) for image in todo), load, options.batch_size, options.decoders
    )
    with prep_errors(), contextlib.closing(scoring):
        for batch in scoring:
            with manifest.transaction():
                manifest.put_scores(tagger.id, {each.key: each.scores for each in batch if not each.problem})
            for each in batch:
                if each.problem:
                    tally.unreadable.add(each.key)
                    log.warning("%s", each.problem)
                else:
                    tally.counts[f"scored_by:{tagger.name} on {on}" if options.also else f"scored_on:{on}"] += 1
            done += len(batch)
            progress(f"scoring with {tagger.name} on {on}", done, len(todo))


def _loader(engine: OnnxTagger) -> Callable[[Path], Image]:
    """Fast decoding for a tagger."""
    from taggers.resize import least_size

    least = functools.partial(least_size, side=engine.side, spec=engine.spec, times=OVERSAMPLED)
    return functools.partial(load_reduced, least=least)


def _tell_drift(root: Path, engine: OnnxTagger, todo: Sequence[records.Image], tally: Tally) -> None:
    """Score a few of the set's large JPEGs both ways, and say how far fast decoding is from exact."""
    files = _reducible(root, engine, todo)
    if not files:
        log.warning("--decode fast changes nothing here: no JPEG is large enough to be decoded at a reduced size")
        return
    with prep_errors():
        exact, fast = (
            [each for batch in engine.score(((str(file), file) for file in files), load) for each in batch]
            for load in (load_rgb, _loader(engine))
        )
    pairs = [(one.scores, other.scores) for one, other in zip(exact, fast, strict=True) if not one.problem]
    differences, changed, held = [0.0], 0, 0
    for one, other in pairs:
        differences += [abs(one.get(tag, 0.0) - other.get(tag, 0.0)) for tag in one.keys() | other.keys()]
        before, after = _holding(engine, one), _holding(engine, other)
        changed += len(before ^ after)
        held += len(before)
    log.warning(
        "--decode fast: %d JPEGs scored both ways differ by at most %.4f; of %d tags at their thresholds %d came or went",
        len(pairs),
        max(differences),
        held,
        changed,
    )
    tally.counts[f"changed_by_fast_decoding:{len(pairs)}"] += changed


def _holding(engine: OnnxTagger, scores: Mapping[str, float]) -> set[str]:
    spec = engine.spec
    return holding(scores, engine.categories, spec.thresholds, engine.tag_thresholds, spec.exclusive)


def _reducible(root: Path, engine: OnnxTagger, todo: Sequence[records.Image]) -> list[Path]:
    """A few JPEGs that fast decoding reduces and that can be read, spread over the larger half of those there are."""
    from taggers.resize import least_size

    jpegs = sorted(
        (image for image in todo if image.path.lower().endswith(JPEG_ENDINGS)), key=lambda image: -image.bytes
    )
    larger = jpegs[: max(COMPARED, len(jpegs) // 2)]
    found: list[Path] = []
    for image in larger[:: max(1, len(larger) // LOOKED_AT)][: 2 * LOOKED_AT]:
        with contextlib.suppress(PrepError), open_image(root / image.path) as opened:
            size = opened.size
            opened.draft(None, least_size(size, engine.side, engine.spec, OVERSAMPLED))
            if opened.size != size:
                decode(opened, image.path)
                found.append(root / image.path)
        if len(found) == COMPARED:
            break
    return found


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


STAGE = Stage(
    name=NAME,
    help=__doc__,
    options=Options,
    reads=("images", "keep"),
    plan=plan,
    work=work,
    makes=("scores",),
    uses=("onnxruntime", "onnxruntime-gpu", "pillow", "opencv-python-headless"),
)
