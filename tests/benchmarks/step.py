"""What a training step costs beside its arithmetic: python -m tests.benchmarks.step [--base miniature] [--steps 60].

After each step of prep's own training, one bare step is taken on the same UNet with the same adapter: forward, mean
squared error, backward and optimizer step on a batch that lies ready on the device; so both see the same load of the
machine. Prints median milliseconds and the ratio, at most 1.05 being the aim, for captions that stay as they are, whose
text states are kept, and for shuffled ones, which the text encoder has to read anew.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from operator import truediv
from pathlib import Path
from typing import cast

import torch

from pipeline.store.values.bucket import Bucket
from train.adapters.adapter import Adapter
from train.data.augmentation import ImageView
from train.data.batches import Batch
from train.data.dataset import Example
from train.data.latent_cache import LatentCache
from train.data.progress import Progress
from train.data.sampler import SampledImage
from train.data.step_inputs import draw_inputs, sizes_of
from train.loop import Trainer
from train.miniature.examples import scenes
from train.miniature.painter import paint
from train.miniature.scenes import true_tags
from train.models.base import BaseModel
from train.models.load import load_base
from train.models.text.conditioning import with_sizes
from train.options.recipe import make_recipe
from train.run.callbacks import Watch
from train.run.resume_state import StateFile
from train.run.step_log import RunLog
from train.session import new_adapter

WARM_UP = 5


class Nobody:
    """Watches a run and does nothing beside its steps."""

    enough = False

    def begin(self, place: Progress) -> None: ...

    def wants(self, place: Progress) -> bool:
        return False

    def keeps(self, place: Progress) -> bool:
        return False

    def at(self, place: Progress) -> None: ...

    def finish(self, place: Progress) -> None: ...


def painted(folder: Path, count: int, side_px: int) -> list[Example]:
    """Painted images of one bucket."""
    found = []
    for index, scene in enumerate(scenes(count, seed=7)):
        file = folder / f"{index}.png"
        paint(scene).resize((side_px, side_px)).save(file)
        size = [side_px, side_px]
        image = ImageView(f"content {index}", file, Bucket(size, size, (0, 0, *size)))
        caption = ", ".join(("Lumi", *true_tags(scene)))
        found.append(Example(SampledImage(file.name, (side_px, side_px), 1.0), "Lumi", image, caption, ("Lumi",)))
    return found


def bare_step(trainer: Trainer, base: BaseModel, adapter: Adapter, batch: Batch) -> Callable[[], None]:
    """A step on a batch drawn beforehand; the weights' gradients are gone after it, as after prep's own."""
    recipe = trainer.recipe
    drawn = draw_inputs(batch, recipe.noise, recipe.run.seed, trainer.latents, len(trainer.alphas_cumprod))
    clean, noise, times = (each.to(base.device) for each in (drawn.clean, drawn.noise, drawn.times))
    states = trainer.frozen_states([example.caption for example in batch.examples])
    states = with_sizes(states, [sizes_of(sample.image) for sample in drawn.samples])
    optimizer = torch.optim.AdamW(adapter.parameters(), lr=1e-6, fused=True)

    def step() -> None:
        with torch.autocast(base.device.type, trainer.dtype, enabled=trainer.dtype is not torch.float32):
            predicted = base.predict(clean, times, states)
        torch.nn.functional.mse_loss(predicted.float(), noise).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def measure(asked: argparse.Namespace, base: BaseModel, shuffle: bool) -> tuple[float, float, float]:
    """Median milliseconds of prep's step and of the bare one after it, and the median of their ratios."""
    recipe = make_recipe(
        base=asked.base,
        batch_size=asked.batch_size,
        steps=asked.steps + WARM_UP + 1,
        save_state_every=10**9,
        shuffle_tags=shuffle,
        mixed_precision=asked.mixed_precision,
        device=asked.device,
    )
    prep: list[float] = []
    bare: list[float] = []
    with tempfile.TemporaryDirectory() as scratch:
        found = painted(Path(scratch), 4 * asked.batch_size, asked.side)
        latents = LatentCache(Path(scratch) / "latents", base)
        latents.fill([example.image for example in found], lambda *_: None)
        adapter = new_adapter(recipe, base)
        adapter.attach()
        state = Path(scratch) / "state.safetensors"
        log = RunLog(Path(scratch) / "log.jsonl", state)
        trainer = Trainer(recipe, base, adapter, latents, StateFile(state, "benchmark"), {"weight_decay": 1e-2}, log)
        step = bare_step(trainer, base, adapter, Batch(0, 0, tuple(found[: asked.batch_size])))
        start = clock(base.device)

        def after_a_step(what: str, done: int, total: int) -> None:
            nonlocal start
            middle = clock(base.device)
            step()
            end = clock(base.device)
            if WARM_UP < done < total:  # the first steps warm up, the last one saves the state
                prep.append((middle - start) * 1000)
                bare.append((end - middle) * 1000)
            start = end

        trainer.run(found, cast(Watch, Nobody()), after_a_step)
        adapter.detach()
    return statistics.median(prep), statistics.median(bare), statistics.median(map(truediv, prep, bare))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--base", default="miniature")
    parser.add_argument("--side", type=int, default=64, help="pixels of the images' sides")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--mixed-precision", choices=("no", "fp16", "bf16"), default="no")
    asked = parser.parse_args()
    base = load_base(asked.base, device=asked.device)
    print(f"{asked.base} on {base.device}, {asked.mixed_precision}, batches of {asked.batch_size}, {asked.side} px")
    print(f"{'captions':<12} {'prep ms':>9} {'bare ms':>9} {'ratio':>7}")
    for name, shuffle in (("as written", False), ("shuffled", True)):
        prep, bare, ratio = measure(asked, base, shuffle)
        print(f"{name:<12} {prep:9.2f} {bare:9.2f} {ratio:7.3f}")


def clock(device: torch.device) -> float:
    """Seconds, when the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


if __name__ == "__main__":
    main()
