"""One training run and what is made with it: from the open manifest to files in SET/runs/NAME."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.errors import PrepError
from pipeline.files import write_text
from pipeline.manifest import Manifest
from train.adapter import Adapter, Shape, read_adapter
from train.base import BaseModel, load_base
from train.batches import total_steps, window
from train.dataset import dataset_digest, examples, tag_frequency
from train.draws import key_seed
from train.latents import LatentCache
from train.loop import Trainer
from train.metadata import DTYPES, adapter_metadata, write_adapter
from train.optimizers import described, read_arguments
from train.recipe import Recipe, recipe_of, recipe_values
from train.text import cut_tokens

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Trained:
    """What a finished run left: the adapter file, its steps, the step it was taken up from, and warnings."""

    file: Path
    steps: int
    resumed_from: int
    notes: tuple[str, ...]


def run_folder(root: Path, name: str) -> Path:
    return root / "runs" / name


def adapter_file(root: Path, name: str) -> Path:
    return run_folder(root, name) / f"{name}.safetensors"


def adapter_shape(recipe: Recipe) -> Shape:
    return Shape(
        algorithm=recipe.algorithm,
        rank=recipe.rank,
        alpha=recipe.alpha,
        convolutions=recipe.algorithm != "lora",
        conv_rank=recipe.conv_rank,
        conv_alpha=recipe.conv_alpha,
        text_encoder=recipe.train_text_encoder,
    )


def train_adapter(manifest: Manifest, recipe: Recipe, progress: Progress, base: BaseModel | None = None) -> Trained:
    """Cache latents, train (or take up a killed run), save the adapter with its metadata.

    A `base` that is given is left with its frozen weights in the recipe's precision.
    """
    arguments = read_arguments(recipe.optimizer, recipe.optimizer_args)
    found = examples(manifest, twins=recipe.prior_loss_weight > 0)
    base = base or load_base(recipe.base, recipe.revision, recipe.device)
    folder = run_folder(manifest.root, recipe.name)
    folder.mkdir(parents=True, exist_ok=True)
    latents = LatentCache(manifest.root / "cache" / "latents", base)
    digest = hashlib.sha256(
        json.dumps([recipe_values(recipe), dataset_digest(found), base.digest], sort_keys=True).encode()
    ).hexdigest()
    adapter = new_adapter(recipe, base)
    adapter.hang()
    try:
        trainer = Trainer(recipe, base, adapter, latents, folder, digest, arguments)
        pictures = [example.picture for example in found] + [example.twin for example in found if example.twin]
        latents.fill(pictures, progress)
        started = trainer.run(found, progress)
    finally:
        adapter.take_off()
    steps = total_steps(recipe, found)
    buckets = Counter(example.entry.bucket for example in found)
    metadata = adapter_metadata(
        recipe,
        v2=base.text_encoder.config.hidden_size == 1024,
        v_prediction=base.prediction == "v_prediction",
        steps=steps,
        epochs=recipe.epochs,
        images=len(found),
        twins=sum(example.twin is not None for example in found),
        buckets=dict(buckets),
        frequency=tag_frequency(found, (recipe.keep_separator, recipe.group_separator)),
        base_digest=base.digest,
        optimizer=described(recipe.optimizer, arguments),
        accumulate=window(recipe, found),
        triggers=list(dict.fromkeys(word for example in found for word in example.triggers)),
    )
    file = adapter_file(manifest.root, recipe.name)
    write_adapter(file, adapter.tensors(DTYPES[recipe.save_precision]), metadata)
    write_text(folder / "recipe.json", json.dumps(recipe_values(recipe), indent=2, ensure_ascii=False) + "\n")
    return Trained(
        file,
        steps,
        started,
        token_warnings(base, {example.entry.key: example.caption for example in found}, recipe.max_tokens),
    )


def new_adapter(recipe: Recipe, base: BaseModel) -> Adapter:
    """An adapter as it is before the first step. lycoris draws its weights from torch's global generator, which is seeded
    for that and put back as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key_seed("first weights", recipe.seed))
        return Adapter(adapter_shape(recipe), base.unet, base.text_encoder).to(base.device)


def token_warnings(base: BaseModel, captions: Mapping[str, str], max_tokens: int) -> tuple[str, ...]:
    """A note when captions are longer than the text encoder sees."""
    cut = {key: count for key, caption in captions.items() if (count := cut_tokens(base, caption, max_tokens))}
    if not cut:
        return ()
    worst = max(cut, key=lambda key: cut[key])
    return (
        f"{len(cut)} captions are longer than the {max_tokens} tokens the text encoder sees; the worst, {worst}, loses "
        f"{cut[worst]}",
    )


def hang_adapter(base: BaseModel, file: Path) -> Adapter:
    """Hang a trained adapter on its base model, ready to sample with.

    Raises:
        PrepError: the file is not there, or does not fit the base model.
    """
    if not file.is_file():
        raise PrepError(f"there is no adapter at {file}", "train one with: prep train SET")
    tensors, _ = read_adapter(file)
    recipe_file = file.parent / "recipe.json"
    if not recipe_file.is_file():
        raise PrepError(
            f"{recipe_file} is not there, so the adapter's shape is unknown", "train again with: prep train SET --force"
        )
    recipe = recipe_of(json.loads(recipe_file.read_text(encoding="utf-8")))
    adapter = Adapter(adapter_shape(recipe), base.unet, base.text_encoder).to(base.device)
    adapter.load({key: value.to(torch.float32) for key, value in tensors.items()})
    adapter.hang()
    return adapter
