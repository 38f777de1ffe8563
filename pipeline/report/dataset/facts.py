"""What a manifest has to tell, gathered for people; nothing here reads a pixel or writes a word of HTML."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.report.dataset.balance import Balance, balance_of
from pipeline.report.dataset.buckets import Buckets, buckets_of
from pipeline.store.caption_files import plain
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.check import DUPLICATES, CheckReason
from pipeline.store.reasons.placement import PlacementReason
from pipeline.store.reasons.reason import Cause
from pipeline.store.reasons.tags import TagReason, core_figures
from pipeline.store.records import Decision, Image, Run
from pipeline.store.values.regularization import RegularizationAssignment
from pipeline.store.values.tags import TagAction, TagDecision
from pipeline.store.wording import counted, figures, phrase, rule

ORDINARY = frozenset((CheckReason.GOOD, PlacementReason.IMPORTED))
CURATED_PER_CONCEPT = 2
REFERENCES = 4


@dataclass(frozen=True, slots=True)
class Verdict:
    """A file and what was decided about it, in words. `keeper` is the image that was kept in its stead, if there is one."""

    name: str
    file: Path
    concept: str
    reason: str
    evidence: str
    keeper: str = ""
    keeper_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Curated:
    """An image, every tag considered for it, and the caption it got; `manual` when a person wrote that."""

    name: str
    file: Path
    concept: str
    steps: tuple[TagDecision, ...]
    caption: str
    manual: bool


@dataclass(frozen=True, slots=True)
class PrunedTag:
    """A tag pruned from `images` of the `total` images of a trigger word, so that the word takes on its meaning.

    `figures` are those it was decided by.
    """

    tag: str
    images: int
    total: int
    figures: str


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger word, the images that carry it, some of them to look at, and the tags pruned into it."""

    word: str
    images: int
    concepts: tuple[str, ...]
    references: tuple[tuple[str, Path], ...]
    pruned: tuple[PrunedTag, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and its regularization images, which may not be made yet, each once in the order they come in; `caption` is
    the first one's, `matched` whether they were generated for this image."""

    name: str
    file: Path
    reg_images: tuple[Path, ...]
    caption: str
    matched: bool


@dataclass(frozen=True, slots=True)
class StageRun:
    """One run of a stage; `seconds` is None when it did not finish, `undone` the number of the run that took it back."""

    number: int
    stage: str
    started: str
    seconds: float | None
    counts: Mapping[str, int]
    options: Mapping[str, Any]
    versions: Mapping[str, str]
    undone: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything the page says about the data; `captions` are (concept, name, caption, by a person) of every kept image."""

    files: int
    kept: int
    excluded: tuple[Verdict, ...]
    noted: tuple[Verdict, ...]
    actions: Mapping[str, int]
    unlikely: int
    dropped_for: tuple[tuple[str, int, tuple[str, ...]], ...]
    curated: tuple[Curated, ...]
    captions: tuple[tuple[str, str, str, bool], ...]
    triggers: tuple[Trigger, ...]
    balance: Balance | None
    buckets: Buckets | None
    pairs: tuple[Pair, ...]
    pair_count: int
    reg_image_count: int
    runs: tuple[StageRun, ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """The decisions of a set, read once."""

    root: Path
    images: tuple[Image, ...]
    kept: tuple[Image, ...]
    fields: Mapping[str, Mapping[str, Decision]]
    manual: Mapping[str, str]


def collect(manifest: Manifest) -> Facts:
    """Gather what the stages decided so far; a stage that has not run leaves its part empty."""
    names = ("imported", "keep", "tags", "caption", "repeats", "bucket", "regularization")
    manual = {path: plain(text) for path, text in manifest.manual_captions().items()}
    fields = {name: manifest.decisions(name) for name in names}
    decided = Decided(manifest.root, manifest.images(), manifest.kept(), fields, manual)
    excluded, noted = verdicts(decided)
    pairs = _pairs(decided)
    steps: list[TagDecision] = [step for row in decided.fields["tags"].values() for step in row.value]
    settings = {stage: run.options for stage in ("balance", "bucket") if (run := manifest.last_run(stage))}
    batch_size = max((int(options.get("batch_size", 1)) for options in settings.values()), default=1)
    return Facts(
        files=len(decided.fields["imported"]) or len(decided.images),
        kept=len(decided.kept),
        excluded=excluded,
        noted=noted,
        actions=Counter(step.action.value for step in steps if not step.below_threshold),
        unlikely=sum(step.below_threshold for step in steps),
        dropped_for=_dropped_for(steps),
        curated=_curated(decided),
        captions=_captions(decided),
        triggers=_triggers(decided),
        balance=balance_of(decided.kept, fields["repeats"], settings.get("balance", {})),
        buckets=buckets_of(decided.kept, fields["bucket"], fields["repeats"], manifest.measurements(), batch_size),
        pairs=pairs[:8],
        pair_count=len(pairs),
        reg_image_count=len({reg_image for pair in pairs for reg_image in pair.reg_images}),
        runs=tuple(map(_run, manifest.runs())),
    )


def verdicts(decided: Decided) -> tuple[tuple[Verdict, ...], tuple[Verdict, ...]]:
    """(what was excluded, what was kept with a note), by reason with the most frequent first."""
    by_path = {image.path: image for image in decided.images}
    kept = {image.path for image in decided.kept}
    left, noted = [], []
    for decision in decided.fields["imported"].values():
        source = Path(decision.path)
        verdict = Verdict(source.name, source, source.parent.name, phrase(decision), figures(decision))
        if decision.value is None or decision.reason == PlacementReason.MASK:
            left.append(verdict)
        elif decision.reason not in ORDINARY:
            noted.append(verdict)
    for decision in decided.fields["keep"].values():
        image = by_path.get(decision.path)
        if image is None or (decision.value and decision.reason in ORDINARY):
            continue
        keeper = decision.data["of"] if decision.reason in DUPLICATES and decision.data["of"] in kept else ""
        named = {**decision.data, "of": Path(keeper).name} if keeper else decision.data
        verdict = Verdict(
            Path(image.path).name,
            decided.root / image.path,
            image.concept,
            phrase(decision),
            figures(Cause(decision.reason, named)),
            keeper,
            decided.root / keeper if keeper else None,
        )
        (noted if decision.value else left).append(verdict)
    return _by_reason(left), _by_reason(noted)


def _by_reason(found: list[Verdict]) -> tuple[Verdict, ...]:
    counts = Counter(verdict.reason for verdict in found)
    return tuple(sorted(found, key=lambda each: (-counts[each.reason], each.reason, each.concept, each.name)))


def _dropped_for(steps: Iterable[TagDecision]) -> tuple[tuple[str, int, tuple[str, ...]], ...]:
    """(reason without its figures, how often, its commonest tags) for tags that were likely and yet dropped."""
    tags: dict[str, Counter[str]] = defaultdict(Counter)
    for step in steps:
        if step.action == TagAction.DROPPED and not step.below_threshold:
            tags[rule(step)][step.tag] += 1
    rows = [(reason, found.total(), tuple(tag for tag, _ in found.most_common(6))) for reason, found in tags.items()]
    return tuple(sorted(rows, key=lambda each: (-each[1], each[0]))[:14])


def _captions(decided: Decided) -> tuple[tuple[str, str, str, bool], ...]:
    """Every kept image that has a caption, by concept and name."""
    found = []
    for image in decided.kept:
        caption = decided.fields["caption"].get(image.path)
        if caption is not None or image.path in decided.manual:
            text = decided.manual.get(image.path, str(caption.value) if caption else "")
            found.append((image.concept, Path(image.path).name, text, image.path in decided.manual))
    return tuple(sorted(found))


def _curated(decided: Decided) -> tuple[Curated, ...]:
    """Of every concept the images whose tags changed most."""
    found: dict[str, list[Curated]] = defaultdict(list)
    for image in decided.kept:
        row, caption = decided.fields["tags"].get(image.path), decided.fields["caption"].get(image.path)
        if row is not None:
            text = decided.manual.get(image.path, caption.value if caption else "")
            steps = tuple(row.value)
            found[image.concept].append(
                Curated(
                    Path(image.path).name,
                    decided.root / image.path,
                    image.concept,
                    steps,
                    text,
                    image.path in decided.manual,
                )
            )
    chosen = []
    for concept in sorted(found):
        changes = sorted(found[concept], key=lambda each: -sum(step.action != TagAction.KEPT for step in each.steps))
        chosen += changes[:CURATED_PER_CONCEPT]
    return tuple(chosen)


def _triggers(decided: Decided) -> tuple[Trigger, ...]:
    """Trigger words are the tags that were added as such."""
    carried: dict[str, list[Image]] = defaultdict(list)
    for image in decided.kept:
        for word in _added(decided, image):
            carried[word].append(image)
    found = [_trigger(decided, word, images) for word, images in carried.items()]
    return tuple(sorted(found, key=lambda trigger: (-trigger.images, trigger.word)))


def _added(decided: Decided, image: Image) -> list[str]:
    """The trigger words of an image."""
    row = decided.fields["tags"].get(image.path)
    return [step.tag for step in row.value if step.is_trigger] if row else []


def _trigger(decided: Decided, word: str, images: list[Image]) -> Trigger:
    pruned: Counter[str] = Counter()
    reasons: dict[str, str] = {}
    for image in images:
        for step in decided.fields["tags"][image.path].value:
            if step.reason == TagReason.CORE and step.data["trigger"] == word:
                pruned[step.tag] += 1
                reasons.setdefault(step.tag, core_figures(step.data))
    alone = [image for image in images if _added(decided, image) == [word]] or images
    spread = alone[:: max(1, len(alone) // REFERENCES)][:REFERENCES]
    return Trigger(
        word,
        len(images),
        tuple(sorted({image.concept for image in images})),
        tuple((Path(image.path).name, decided.root / image.path) for image in spread),
        tuple(PrunedTag(tag, count, len(images), reasons[tag]) for tag, count in pruned.most_common()),
    )


def _pairs(decided: Decided) -> tuple[Pair, ...]:
    """Every pair, taken in turn from every concept."""
    found: dict[str, list[Pair]] = defaultdict(list)
    for image in decided.kept:
        row, caption = decided.fields["regularization"].get(image.path), decided.fields["caption"].get(image.path)
        if row is None:
            continue
        assigned: RegularizationAssignment = row.value
        first = assigned.images[0]
        if first.preserved:
            continue
        text = first.caption or str(caption.value if caption else "")
        reg_images = tuple(
            decided.root / path for path in dict.fromkeys(reg_image.path for reg_image in assigned.images)
        )
        pair = Pair(
            Path(image.path).name, decided.root / image.path, reg_images, text, first.matched or first.seed is not None
        )
        found[image.concept].append(pair)
    longest = max(map(len, found.values()), default=0)
    return tuple(
        found[concept][place] for place in range(longest) for concept in sorted(found) if place < len(found[concept])
    )


def _run(run: Run) -> StageRun:
    seconds = None
    if run.finished:
        seconds = (datetime.fromisoformat(run.finished) - datetime.fromisoformat(run.started)).total_seconds()
    counts = {counted(key): number for key, number in run.counts.items()}
    return StageRun(run.id, run.stage, run.started, seconds, counts, run.options, run.versions, run.undone)
