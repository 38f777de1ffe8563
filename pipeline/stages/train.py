"""Train an adapter on the set: buckets, multipliers, captions and regularization twins as they were decided."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.basemodel import base_identity
from pipeline.captions import captions
from pipeline.decided import all_decided
from pipeline.errors import PrepError
from pipeline.manifest import Manifest
from pipeline.records import Decision, Image, Plan
from pipeline.stage import Progress
from train.recipe import Recipe as Options

if TYPE_CHECKING:
    from train.footprint import BaseShapes
    from train.plan import Course

__all__ = ["NAME", "OBSERVES", "READS", "USES", "Options", "files", "missing", "observe", "plan", "work"]
NAME = "train"
READS = ("images", "keep", "bucket", "caption", "multiplier", "twin")
OBSERVES = "base model or regularization pictures"
USES = ("torch", "diffusers", "transformers", "lycoris-lora")
MOST_NAMED = 3
"""How many pictures or sizes a warning names."""
USUAL_TEXT_RATE = 1e-4
"""The highest learning rate that guides for SD 1.x give its text encoder: 1e-5 to 5e-5 in "Stable Diffusion LoRA training
science and notes" (rentry), 1e-4 in "Tutorial: Lycoris/LoCon Training using Kohya_SS" (Civitai)."""
SD1_TEXT_WIDTH = 768


def observe(manifest: Manifest, options: Options) -> str:
    regularized = manifest.last_run("regularize")
    return f"{base_identity(manifest, options.base, options.revision)} {regularized.digest if regularized else ''}"


@dataclass(frozen=True, slots=True, eq=False)
class _Set:
    """What is to be trained on, each in the order of the kept pictures; `buckets` are the decisions' values, `twins` the
    sizes of regularization pictures."""

    kept: tuple[Image, ...]
    captions: tuple[str, ...]
    buckets: tuple[Mapping[str, Any], ...]
    multipliers: tuple[float, ...]
    twins: tuple[tuple[int, int], ...]


def plan(manifest: Manifest, options: Options) -> Plan:
    """What training comes to: steps, showings, disk and memory, and which tags the text encoder does not see."""
    from train.plan import course
    from train.sampler import Entry

    found = _set(manifest, options)
    _refuse_foreign_marks(manifest, found, options)
    entries = [
        Entry(image.path, (bucket["size"][0], bucket["size"][1]), multiplier)
        for image, bucket, multiplier in zip(found.kept, found.buckets, found.multipliers, strict=True)
    ]
    run = course(entries, options.batch_size, options.seed, options.epochs, options.steps)
    _refuse_what_never_comes(run, options)
    base, unknown = _base(options)
    cut, uncounted = _cut(found, options)
    return Plan(
        NAME,
        ("cut",),
        cut,
        counts=_counts(found, run, options),
        remarks=(*_course_remarks(found, run, options), *_footprint(found, options, base, unknown), *uncounted),
        notes=(
            *_showing_notes(manifest, found, run, options),
            *_text_rate_notes(options, base),
            *_caption_notes(found, cut, options),
        ),
        table=_table(found, run),
    )


def _set(manifest: Manifest, options: Options) -> _Set:
    """Everything that is read of the record.

    Raises:
        PrepError: the set is empty, or a stage before training has not run for all of it.
    """
    kept = manifest.kept()
    if not kept:
        raise PrepError(f"the set {manifest.root} has no kept picture", f"see why with: prep log {manifest.root}")
    all_decided(manifest)
    texts, buckets, multipliers = captions(manifest), manifest.decisions("bucket"), manifest.decisions("multiplier")
    twins = manifest.decisions("twin") if options.prior_loss_weight else {}
    return _Set(
        kept,
        tuple(texts[image.path] for image in kept),
        tuple(buckets[image.path].value for image in kept),
        tuple(multipliers[image.path].value["exact"] for image in kept),
        tuple(tuple(buckets[image.path].value["size"]) for image in kept if image.path in twins),
    )


# --- refusals


def _refuse_foreign_marks(manifest: Manifest, found: _Set, options: Options) -> None:
    """Curation's separator would be read as a tag if training looked for another one."""
    curated = manifest.last_run("curate")
    mark = curated.options.get("keep_separator", "") if curated else ""
    if mark and mark != options.keep_separator and any(mark in text for text in found.captions):
        raise PrepError(
            f"captions hold {mark!r}, the keep_separator of curation, but training looks for {options.keep_separator!r}",
            f'set keep_separator = "{mark}" in [train], or give --keep-separator "{mark}"',
        )


def _refuse_what_never_comes(run: Course, options: Options) -> None:
    """What the options ask for later than the run lasts."""
    if options.tag_warmup_steps >= run.steps:
        raise PrepError(
            f"train: tag_warmup_steps is {options.tag_warmup_steps}, but the run has {run.steps} steps: the last tags "
            "would never be shown",
            "give fewer, or a share of the run such as tag_warmup_share = 0.3",
        )
    if options.caption_dropout_epochs > run.epochs + (run.beyond > 0):
        raise PrepError(
            f"train: caption_dropout_epochs is {options.caption_dropout_epochs}, but the run ends in epoch "
            f"{run.epochs + (run.beyond > 0)}",
            "give a smaller number, or more steps",
        )


# --- figures


def _counts(found: _Set, run: Course, options: Options) -> dict[str, int]:
    return {
        "pictures": len(found.kept),
        "regularization twins": len(found.twins),
        "showings an epoch": round(sum(found.multipliers)),
        "showings in the run": int(run.shown.sum()),
        "steps": run.steps,
        "full batches": run.full,
        "short batches": run.short,
    }


def _table(found: _Set, run: Course) -> tuple[Mapping[str, Any], ...]:
    """One row a concept, by name."""
    concepts: dict[str, list[int]] = {}
    for place, image in enumerate(found.kept):
        concepts.setdefault(image.concept, []).append(place)
    every, total = np.array(found.multipliers), int(run.shown.sum())
    return tuple(
        {
            "concept": concept,
            "pictures": len(places),
            "an epoch": _rounded(float(every[places].sum())),
            "in the run": int(run.shown[places].sum()),
            "share %": round(100 * int(run.shown[places].sum()) / total, 1),
            "least shown": int(run.shown[places].min()),
            "most shown": int(run.shown[places].max()),
        }
        for concept, places in sorted(concepts.items())
    )


def _rounded(showings: float) -> float | int:
    """To a hundredth where that is more than noise."""
    return round(showings, 2) if showings < 100 else round(showings)


def _course_remarks(found: _Set, run: Course, options: Options) -> tuple[str, ...]:
    window = options.accumulate or len({tuple(bucket["size"]) for bucket in found.buckets})
    least, most = int(run.shown.argmin()), int(run.shown.argmax())
    share = int(run.shown.sum()) / (run.steps * options.batch_size)
    part = f" and {run.beyond} steps of the next" if run.beyond else ""
    return (
        f"{options.algorithm} of rank {options.rank} on {options.base}: {run.steps} steps of up to {options.batch_size} "
        f"pictures{' and their twins' if found.twins else ''}, {run.epochs} whole epochs{part}; the first epoch has "
        f"{run.epoch_steps}",
        f"updates: {-(-run.steps // window)}, one after every {window} steps"
        if window > 1
        else f"updates: {run.steps}",
        f"batches: {run.full} full, {run.short} short; {share:.1%} of all places are taken",
        f"shown least: {found.kept[least].path}, {run.shown[least]} times; "
        f"most: {found.kept[most].path}, {run.shown[most]} times",
    )


def _base(options: Options) -> tuple[BaseShapes | None, str]:
    """The shapes of the base model, else why they are not known."""
    from train.folder import find_folder
    from train.footprint import base_shapes

    try:
        folder = find_folder(options.base, options.revision, download=False)
    except PrepError as error:
        return None, f"of a base model that is not on this machine: {error.message}"
    shapes = base_shapes(folder)
    return shapes, "" if shapes else f"{folder} is no model in diffusers format that can be read"


def _footprint(found: _Set, options: Options, base: BaseShapes | None, unknown: str) -> tuple[str, ...]:
    """Disk and memory in words; what depends on the base model only where its files are there."""
    from train.footprint import STORED, adapted, adapter_numbers, in_words, latent_bytes, memory_bytes

    different = {
        (image.content, tuple(bucket["scaled"]), tuple(bucket["crop"])): tuple(bucket["size"])
        for image, bucket in zip(found.kept, found.buckets, strict=True)
    }
    sizes = [(size[0], size[1]) for size in (*different.values(), *found.twins)]
    factor, channels = (base.factor, base.latent_channels) if base else (8, 4)
    latents = f"disk: about {in_words(latent_bytes(sizes, factor, channels))} for {len(sizes)} cached latents"
    if base is None:
        return (latents, f"the size of the adapter and the memory it takes to train cannot be told: {unknown}")
    shapes = adapted(base, options.algorithm != "lora", options.train_text_encoder)
    trained = adapter_numbers(shapes, options.algorithm, options.rank, options.conv_rank)
    half, largest = options.mixed_precision != "no", max(sizes, key=lambda size: size[0] * size[1])
    pictures = options.batch_size * (2 if found.twins else 1)
    memory = memory_bytes(base, trained, pictures, largest, half, options.gradient_checkpointing)
    file = trained * (4 if options.save_precision == "fp32" else 2)
    return (
        f"{latents}, {in_words(STORED * trained)} for the state with AdamW, {in_words(file)} for the adapter of "
        f"{trained} numbers",
        f"memory, roughly: {in_words(memory)} = the base model's weights + 16 bytes a number of the adapter + "
        f"{pictures} pictures of {largest[0]}×{largest[1]}; other optimizers take less or more than AdamW",
    )


# --- tags that the text encoder does not see


def _cut(found: _Set, options: Options) -> tuple[tuple[Decision, ...], tuple[str, ...]]:
    """A row for every picture whose caption is too long, or a remark why that cannot be told."""
    from pipeline.tags.tokens import load_tokens
    from train.captions import longest, tags_of
    from train.folder import find_folder
    from train.tokens import Limit

    try:
        folder = find_folder(options.base, options.revision, download=False)
        limit = Limit(load_tokens(folder / "tokenizer").of_text, options.max_tokens)
    except PrepError as error:
        return (), (f"which tags the limit of {options.max_tokens} tokens cuts cannot be told: {error.message}",)
    rows = []
    for image, text in zip(found.kept, found.captions, strict=True):
        lost, count = limit.lost(tags_of(longest(text, options)))
        if count:
            evidence = f"{count} tokens more than are read"
            rows.append(Decision(image.path, "cut", lost, f"tags beyond {options.max_tokens} tokens", evidence))
    return tuple(rows), ()


def _caption_notes(found: _Set, cut: Sequence[Decision], options: Options) -> tuple[str, ...]:
    """What of the captions is not read, and options that find nothing in them."""
    notes = []
    if cut:
        named = "; ".join(f"{row.path}: {_shortened(', '.join(row.value))}" for row in cut[:MOST_NAMED])
        way = f", or give max_tokens = {options.max_tokens + 75}" if options.max_tokens < 225 else ""
        other = " (other tags each time, as they are shuffled)" if options.shuffle_tags else ""
        notes.append(
            f"{len(cut)} captions have more than {options.max_tokens} tokens, the rest is not read{other}: {named}"
            f"{' …' if len(cut) > MOST_NAMED else ''}; shorten them with prep curate{way}"
        )
    if options.wildcards:
        notes += _brace_notes(found)
    if options.group_separator and not _any_holds(found, options.group_separator):
        notes.append(f"group_separator does nothing: no caption holds {options.group_separator}")
    if options.caption_lines == "one" and not _any_holds(found, "\n"):
        notes.append("caption_lines does nothing: no caption has a second line")
    return tuple(notes)


def _brace_notes(found: _Set) -> list[str]:
    from train.captions import unpaired

    pairs = zip(found.kept, found.captions, strict=True)
    braced = {image.path: text for image, text in pairs if "{" in text or "}" in text}
    if not braced:
        return ["wildcards does nothing: no caption holds {a|b}"]
    alone = [path for path, text in braced.items() if unpaired(text)]
    if not alone:
        return []
    return [
        f"{len(alone)} captions hold a brace without its partner, which stays as it is written, such as {alone[0]}; "
        "write {{ or }} for a brace that is to be shown"
    ]


def _any_holds(found: _Set, mark: str) -> bool:
    return any(mark in text for text in found.captions)


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"


# --- warnings


def _showing_notes(manifest: Manifest, found: _Set, run: Course, options: Options) -> tuple[str, ...]:
    notes = []
    if 0 < len(found.twins) < len(found.kept):
        notes.append(
            f"{len(found.kept) - len(found.twins)} pictures have no twin; make them with: prep regularize {manifest.root}"
        )
    never = np.flatnonzero(run.shown == 0)
    if never.size:
        notes.append(
            f"{never.size} of {len(found.kept)} pictures are never shown in {run.steps} steps, such as "
            f"{found.kept[int(never[0])].path}; the first epoch alone has {run.epoch_steps}"
        )
    shown: dict[tuple[int, int], float] = {}
    for bucket, multiplier in zip(found.buckets, found.multipliers, strict=True):
        size = (bucket["size"][0], bucket["size"][1])
        shown[size] = shown.get(size, 0.0) + multiplier
    runts = sorted((count, size) for size, count in shown.items() if count < options.batch_size)
    if runts and len(shown) > 1:
        named = ", ".join(f"{width}×{height} ({count:.3g})" for count, (width, height) in runts[:MOST_NAMED])
        notes.append(
            f"{len(runts)} of {len(shown)} sizes have fewer showings an epoch than a batch of {options.batch_size}: {named}"
            f"{' …' if len(runts) > MOST_NAMED else ''}; nothing of them is left out, but their batches stay short"
        )
    return tuple(notes)


def _text_rate_notes(options: Options, base: BaseShapes | None) -> tuple[str, ...]:
    """Rates at which text encoders are known to suffer."""
    from train.optimizers import KINDS

    if not options.train_text_encoder or KINDS[options.optimizer].adaptive:
        return ()
    unet, text = options.rates
    notes = []
    if text > USUAL_TEXT_RATE:
        notes.append(
            f"the text encoder is trained at {text:g}; guides for SD 1.x give it 1e-5 to 1e-4, above that it forgets "
            "what words mean: lower text_learning_rate"
        )
    elif text > unet:
        notes.append(
            f"the text encoder is trained at {text:g}, faster than the UNet at {unet:g}; it is usual to do less"
        )
    if base and base.text_width > SD1_TEXT_WIDTH and options.text_learning_rate is None:
        notes.append(
            f"the text encoder is trained at {text:g}, which comes from SD 1.x, but this base model has a larger one: "
            "give a text_learning_rate of its own"
        )
    return tuple(notes)


# --- the run


def files(options: Options) -> tuple[str, ...]:
    """The adapter and what it was made by; its state and log are no results."""
    folder = f"runs/{glob.escape(options.name)}"
    return f"{folder}/{glob.escape(options.name)}*.safetensors", f"{folder}/recipe.json"


def missing(manifest: Manifest, options: Options) -> str:
    """The adapter, if it is gone."""
    file = manifest.root / "runs" / options.name / f"{options.name}.safetensors"
    return "" if file.is_file() else f"{file} is not there"


def work(manifest: Manifest, options: Options, progress: Progress) -> Mapping[str, int]:
    from train.session import train_adapter

    trained = train_adapter(manifest, options, progress)
    return {"steps": trained.steps, "steps taken up from an earlier run": trained.resumed_from}
