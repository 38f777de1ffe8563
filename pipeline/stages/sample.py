"""Paint pictures with the adapter and without it, from the same seeds, to see what was learned."""

from __future__ import annotations

import glob
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PrepError
from pipeline.files import replacing, write_text
from pipeline.manifest import Manifest
from pipeline.records import Plan
from pipeline.stage import Progress

NAME = "sample"
READS = ("bucket", "caption", "tags")
LISTING = "samples.json"
OBSERVES = "adapter"
USES = ("torch", "diffusers", "transformers", "lycoris-lora")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of `prep sample`."""

    name: str = "adapter"
    """Name of the training run whose adapter is used."""
    prompts: tuple[str, ...] = ()
    """Prompts to paint; without any, `1girl, TRIGGER` for every trigger word of the set."""
    negative: str = ""
    """Negative prompt."""
    count: int = 4
    """Pictures for each prompt."""
    seed: int = 1000
    """Seed of the first picture of a prompt; the others count up."""
    steps: int = 25
    """DDIM steps."""
    guidance: float = 7.0
    """Classifier-free guidance scale."""
    strength: float = 1.0
    """Strength of the adapter; 0 is the base model."""
    width: int | None = None
    """Width in pixels; the set's commonest bucket when empty."""
    height: int | None = None
    """Height in pixels; the set's commonest bucket when empty."""
    batch_size: int = 8
    """Pictures sampled at once."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""

    def __post_init__(self) -> None:
        for field, holds in (
            ("count", self.count >= 1),
            ("steps", 1 <= self.steps <= 1000),
            ("guidance", self.guidance >= 0),
            ("batch_size", self.batch_size >= 1),
            ("seed", 0 <= self.seed < 2**63 - self.count),
            ("width", self.width is None or self.width >= 8),
            ("height", self.height is None or self.height >= 8),
        ):
            if not holds:
                raise PrepError(
                    f"sample: {field} is {getattr(self, field)!r}, which is out of range", f"set {field} in [sample]"
                )
        if (self.width is None) != (self.height is None):
            raise PrepError("sample: width and height go together", "give both or neither")


def observe(manifest: Manifest, options: Options) -> str:
    trained = manifest.last_run("train")
    return f"{trained.digest} {trained.finished}" if trained else ""


def plan(manifest: Manifest, options: Options) -> Plan:
    prompts = chosen_prompts(manifest, options)
    return Plan(
        NAME,
        (),
        counts={"prompts": len(prompts), "pictures": 2 * len(prompts) * options.count},
        table=tuple({"prompt": prompt, "pictures": 2 * options.count} for prompt in prompts),
    )


def chosen_prompts(manifest: Manifest, options: Options) -> tuple[str, ...]:
    """The prompts asked for, or one for every trigger word.

    Raises:
        PrepError: none was asked for and the captions hold no trigger word.
    """
    if options.prompts:
        return options.prompts
    triggers = trigger_words(manifest)
    if not triggers:
        raise PrepError(
            "there is nothing to sample: no caption holds a trigger word",
            "give prompts with --prompts, or run: prep curate SET",
        )
    return tuple(f"1girl, {trigger}" for trigger in triggers)


def trigger_words(manifest: Manifest) -> tuple[str, ...]:
    """Every trigger word that curation put into captions, by name."""
    found = {
        tag
        for row in manifest.decisions("tags").values()
        for tag, action, reason in row.value
        if (action, reason) == ("added", "trigger word")
    }
    return tuple(sorted(found))


def files(options: Options) -> tuple[str, ...]:
    return (f"runs/{glob.escape(options.name)}/samples/*",)


def missing(manifest: Manifest, options: Options) -> str:
    """Pictures that are gone."""
    listing = sample_folder(manifest, options.name) / LISTING
    if not listing.is_file():
        return f"{LISTING} is not there"
    rows = json.loads(listing.read_text(encoding="utf-8"))
    gone = [name for row in rows for name in (row["base"], row["adapter"]) if not (manifest.root / name).is_file()]
    return f"{len(gone)} pictures are not there, such as {gone[0]}" if gone else ""


def sample_folder(manifest: Manifest, name: str) -> Path:
    return manifest.root / "runs" / name / "samples"


def work(manifest: Manifest, options: Options, progress: Progress) -> Mapping[str, int]:
    """Paint every prompt and seed twice; the listing says which file is what."""
    from train.base import load_base
    from train.ddim import Request, generate
    from train.recipe import recipe_of
    from train.session import adapter_file, hang_adapter

    prompts, size = chosen_prompts(manifest, options), picture_size(manifest, options)
    file = adapter_file(manifest.root, options.name)
    if not file.is_file():
        raise PrepError(f"there is no adapter at {file}", f"train one with: prep train {manifest.root}")
    recipe = recipe_of(json.loads((file.parent / "recipe.json").read_text(encoding="utf-8")))
    base = load_base(recipe.base, recipe.revision, options.device)
    adapter = hang_adapter(base, file)
    rows = [(prompt, options.seed + index) for prompt in prompts for index in range(options.count)]
    requests = [Request(prompt, seed, size, options.negative) for prompt, seed in rows]
    folder, listing = (
        sample_folder(manifest, options.name),
        [dict[str, object](prompt=prompt, seed=seed) for prompt, seed in rows],
    )
    painted = 0

    def on_picture(index: int, picture: object) -> None:
        nonlocal painted
        painted += 1
        progress("painting samples", painted, 2 * len(rows))

    for which, strength in (("base", 0.0), ("adapter", options.strength)):
        adapter.set_strength(strength)
        pictures = generate(
            base,
            requests,
            options.steps,
            options.guidance,
            options.batch_size,
            recipe.clip_skip,
            on_picture,
            recipe.max_tokens,
        )
        for entry, (prompt, seed), picture in zip(listing, rows, pictures, strict=True):
            target = folder / f"{prompts.index(prompt) + 1:02} {_plain(prompt)} seed {seed} {which}.png"
            with replacing(target) as temporary:
                picture.save(temporary, "PNG")
            entry[which] = target.relative_to(manifest.root).as_posix()
    adapter.take_off()
    write_text(folder / LISTING, json.dumps(listing, indent=2, ensure_ascii=False) + "\n")
    return {"pictures painted": 2 * len(rows)}


def picture_size(manifest: Manifest, options: Options) -> tuple[int, int]:
    """(width, height) asked for, or the commonest bucket's."""
    if options.width and options.height:
        return options.width, options.height
    buckets = Counter(tuple(row.value["size"]) for row in manifest.decisions("bucket").values())
    if not buckets:
        raise PrepError(
            "the size of the samples is unknown: no picture has a bucket", f"run: prep bucket {manifest.root}"
        )
    width, height = max(buckets, key=lambda size: (buckets[size], size))
    return width, height


def _plain(prompt: str) -> str:
    """A prompt as part of a file name."""
    return re.sub(r"[^\w+-]+", " ", prompt).strip()[:60].strip()
