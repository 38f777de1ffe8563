"""Generate images with and without the adapter, from the same seeds, to see what was learned."""

from __future__ import annotations

import glob
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipeline.core.errors import PrepError
from pipeline.core.files import digest_if_readable, write_text
from pipeline.store.manifest import Manifest
from pipeline.store.records import Plan
from pipeline.store.running.stage import ProgressCallback, Stage, WorkResult
from pipeline.store.values import read
from pipeline.tags.formats.prompts import default_prompt

if TYPE_CHECKING:
    from train.models.text.prompts import Request
    from train.options.recipe import Recipe
    from train.plan.fit_generation import Generating

NAME = "sample"
LISTING = "samples.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of `prep sample`."""

    name: str = "adapter"
    """Name of the training run whose adapter is used."""
    prompts: tuple[str, ...] = ()
    """Prompts to generate; without any, `1girl, TRIGGER` for every trigger word of the set, with the words
    that the model card of the captions' format puts around it. Each may end with options of
    its own in kohya's syntax, which go before those of the stage: --n negative, --w width, --h height, --d seed,
    --s steps, --l guidance, --ss sampler."""
    file: Path | None = None
    """A file of such prompts, one a line; # begins a comment. Or a TOML or JSON file as kohya has them."""
    negative: str = ""
    """Negative prompt."""
    count: int = 4
    """Images for each prompt."""
    seed: int = 1000
    """Seed of the first image of a prompt; the others count up."""
    steps: int = 25
    """Sampling steps."""
    sampler: str = "ddim"
    """ddim, euler, euler_a, heun, pndm, dpmpp_2m, dpmpp_2m_sde (these two and euler with _karras too), unipc or lcm; names of
    web UIs are understood: `DPM++ 2M Karras`."""
    guidance: float = 7.0
    """Classifier-free guidance scale; at most 1 is none, and leaves the negative prompt unread."""
    guidance_rescale: float = 0.0
    """How far guidance is brought back to the contrast of the unguided image, 0 to 1; .7 suits zero-terminal SNR."""
    strength: float = 1.0
    """Strength of the adapter; 0 is the base model."""
    width: int | None = None
    """Width in pixels; the set's commonest bucket when empty."""
    height: int | None = None
    """Height in pixels; the set's commonest bucket when empty."""
    batch_size: int | None = None
    """Images sampled at once; as many as there is memory for, at most 8, if not given."""
    mixed_precision: Literal["auto", "no", "fp16", "bf16"] = "auto"
    """Precision of the base model and of the arithmetic; auto is that of the training where the device computes in it faster,
    else what does."""
    vram: float | None = None
    """Memory of the card in GiB that the rest is chosen for; what the device has free if not given."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N, xpu or mps."""

    def __post_init__(self) -> None:
        for field, holds in (
            ("count", self.count >= 1),
            ("steps", 1 <= self.steps <= 1000),
            ("guidance", self.guidance >= 0),
            ("guidance_rescale", 0 <= self.guidance_rescale <= 1),
            ("batch_size", self.batch_size is None or self.batch_size >= 1),
            ("vram", self.vram is None or self.vram > 0),
            ("seed", 0 <= self.seed < 2**63 - self.count),
            ("width", self.width is None or 8 <= self.width <= 8192),
            ("height", self.height is None or 8 <= self.height <= 8192),
        ):
            if not holds:
                raise PrepError(
                    f"sample: {field} is {getattr(self, field)!r}, which is out of range", f"set {field} in [sample]"
                )
        if (self.width is None) != (self.height is None):
            raise PrepError("sample: width and height go together", "give both or neither")


def observe(manifest: Manifest, options: Options) -> str:
    trained = manifest.last_run("train", options.name)
    prompts = f" {digest_if_readable(options.file)}" if options.file else ""
    return (f"{trained.digest} {trained.finished}" if trained else "") + prompts


def plan(manifest: Manifest, options: Options) -> Plan:
    requests, info = chosen_requests(manifest, options)
    table = [
        {
            "prompt": each[0].prompt,
            "size": f"{each[0].size[0]}×{each[0].size[1]}",
            "sampler": each[0].sampler,
            "steps": each[0].steps,
            "guidance": each[0].guidance,
            "first seed": each[0].seed,
            "images": 2 * len(each),
        }
        for each in requests
    ]
    counts = {"prompts": len(requests), "images": sum(2 * len(each) for each in requests)}
    return Plan(NAME, (), info=info, counts=counts, table=tuple(table))


def chosen_requests(manifest: Manifest, options: Options) -> tuple[tuple[tuple[Request, ...], ...], tuple[str, ...]]:
    """For each prompt asked for, or for one with every trigger word, its images by seed; and remarks.

    Raises:
        PrepError: a prompt is wrong, or none was asked for and the captions hold no trigger word.
    """
    from train.models.sampling.samplers import sampler_of
    from train.models.text.prompts import SEEDS, Prompt, asked_prompts, filled_in

    prompts = asked_prompts(options.prompts, options.file, "sample: prompts")
    if not prompts:
        triggers = trigger_words(manifest)
        if not triggers:
            raise PrepError(
                "there is nothing to sample: no caption holds a trigger word",
                "give prompts with --prompts, or run: prep curate SET",
            )
        name = format_of_captions(manifest)
        prompts = tuple(Prompt(default_prompt(trigger, name)) for trigger in triggers)
    whole = all(prompt.width and prompt.height for prompt in prompts)
    size = (0, 0) if whole else image_size(manifest, options)
    firsts, info = filled_in(
        [replace(prompt, seed=options.seed if prompt.seed is None else prompt.seed) for prompt in prompts],
        size,
        negative=options.negative,
        steps=options.steps,
        guidance=options.guidance,
        sampler=sampler_of(options.sampler).name,
    )
    counted = [
        tuple(replace(first, seed=(first.seed + index) % SEEDS) for index in range(options.count)) for first in firsts
    ]
    return tuple(counted), info


def trigger_words(manifest: Manifest) -> tuple[str, ...]:
    """Every trigger word that curation put into captions, by name."""
    return tuple(sorted({word for words in manifest.trigger_words().values() for word in words}))


def format_of_captions(manifest: Manifest) -> str:
    """The format in which the last curation wrote the captions."""
    run = manifest.last_run("curate")
    return str(run.options.get("format", "booru")) if run is not None else "booru"


def files(options: Options) -> tuple[str, ...]:
    return (f"runs/{glob.escape(options.name)}/samples/*",)


def missing(manifest: Manifest, options: Options) -> str:
    """Images that are gone."""
    listing = sample_folder(manifest, options.name) / LISTING
    if not listing.is_file():
        return f"{LISTING} is not there"
    rows = json.loads(listing.read_text(encoding="utf-8"))
    gone = [name for row in rows for name in (row["base"], row["adapter"]) if not (manifest.root / name).is_file()]
    return f"{len(gone)} images are not there, such as {gone[0]}" if gone else ""


def sample_folder(manifest: Manifest, name: str) -> Path:
    return manifest.root / "runs" / name / "samples"


def work(manifest: Manifest, options: Options, progress: ProgressCallback) -> WorkResult:
    """Generate every prompt and seed twice; the listing says which file is what."""
    from train.adapters.adapter import attach_adapter
    from train.models.infotext import infotext, save_png
    from train.models.load import base_of
    from train.models.precision import keeping_of
    from train.models.sampling.generate import Sampling, generate
    from train.options.recipe import recipe_of
    from train.run.run_record import adapter_file

    chosen, _ = chosen_requests(manifest, options)
    file = adapter_file(manifest.root, options.name)
    if not file.is_file():
        raise PrepError(f"there is no adapter at {file}", f"train one with: prep train {manifest.root}")
    recipe = recipe_of(json.loads((file.parent / "recipe.json").read_text(encoding="utf-8")))
    chosen_for = _generation(options, recipe, [request.size for each in chosen for request in each])
    base = base_of(recipe.model, options.device, keeping_of(chosen_for.options))
    adapter = attach_adapter(base, file)
    requests = [request for each in chosen for request in each]
    numbers = [number for number, each in enumerate(chosen, 1) for _ in each]
    folder, listing = sample_folder(manifest, options.name), [_row(request) for request in requests]
    facts: dict[str, object] = {"Clip skip": recipe.text.clip_skip} if recipe.text.clip_skip > 1 else {}
    facts |= {"CFG rescale": f"{options.guidance_rescale:g}"} if options.guidance_rescale else {}
    generated = 0

    def on_image(index: int, image: object) -> None:
        nonlocal generated
        generated += 1
        progress("generating samples", generated, 2 * len(requests))

    for which, strength in (("base", 0.0), ("adapter", options.strength)):
        adapter.set_strength(strength)
        images = generate(
            base,
            requests,
            Sampling(
                clip_skip=recipe.text.clip_skip,
                max_tokens=recipe.text.max_tokens,
                zero_terminal=recipe.noise.zero_terminal_snr,
                rescale=options.guidance_rescale,
            ),
            chosen_for.batch_size,
            on_image,
        )
        for entry, number, request, image in zip(listing, numbers, requests, images, strict=True):
            target = folder / f"{_plain(number, request.prompt)} seed {request.seed} {which}.png"
            more = facts | {"Adapter": options.name, "Adapter strength": strength}
            save_png(image, target, infotext(request, recipe.model.base, more))
            entry[which] = target.relative_to(manifest.root).as_posix()
    adapter.detach()
    write_text(folder / LISTING, json.dumps(listing, indent=2, ensure_ascii=False) + "\n")
    results = (
        f"images, each without the adapter and with it: {folder}",
        f"side by side: prep report {manifest.root}",
    )
    notes = (chosen_for.told,) if chosen_for.told else ()
    return WorkResult({"images_generated": 2 * len(requests)}, notes, results=results)


def _generation(options: Options, recipe: Recipe, sizes: Sequence[tuple[int, int]]) -> Generating:
    """Precision and place for the device, as the run had them where nothing else is asked for."""
    from train.plan.fit_generation import decide_generation, here
    from train.plan.memory import largest

    trained = here(recipe.precision, options.device)
    mixed = trained.mixed_precision if options.mixed_precision == "auto" else options.mixed_precision
    precision = replace(trained, mixed_precision=mixed, vram=options.vram)
    return decide_generation(precision, recipe.model, options.device, largest(sizes), options.batch_size)


def _row(request: Request) -> dict[str, object]:
    """What the listing says of two images beside where they are."""
    return {
        "prompt": request.prompt,
        "seed": request.seed,
        "negative": request.negative,
        "size": list(request.size),
        "sampler": request.sampler,
        "steps": request.steps,
        "guidance": request.guidance,
    }


def image_size(manifest: Manifest, options: Options) -> tuple[int, int]:
    """(width, height) asked for, or the commonest bucket's."""
    if options.width and options.height:
        return options.width, options.height
    buckets = Counter(bucket.size for bucket in read.buckets(manifest).values())
    if not buckets:
        raise PrepError(
            "the size of the samples is unknown: no image has a bucket", f"run: prep bucket {manifest.root}"
        )
    width, height = max(buckets, key=lambda size: (buckets[size], size))
    return width, height


def _plain(number: int, prompt: str) -> str:
    """A prompt as the beginning of a file name, which its number tells apart from others: short enough for every file
    system, however many bytes its letters take."""
    words = re.sub(r"[^\w+-]+", " ", prompt).strip()[:60]
    return f"{number:02} {words.encode()[:150].decode(errors='ignore')}".strip()


STAGE = Stage(
    name=NAME,
    help=__doc__,
    options=Options,
    reads=("bucket", "caption", "tags"),
    plan=plan,
    observe=observe,
    observes="adapter",
    missing=missing,
    work=work,
    files=files,
    uses=("torch", "diffusers", "transformers", "lycoris-lora"),
    slow=True,
    run_name=lambda options: options.name,
)
