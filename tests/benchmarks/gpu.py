"""Seconds and memory of a training step beside diffusers' own way: python -m tests.benchmarks.gpu [--device cuda] [--profile].

Both train a LoRA on the same layers of the same random weights: prep by its Trainer, diffusers as in
examples/text_to_image/train_text_to_image_lora_sdxl.py (UNet in bf16, PEFT's adapter in float32, autocast, AdamW, gradients
clipped to 1), with text states and latents that lie ready. On a GPU the models are of full size and the whole takes less
than 10 minutes; on a CPU one tiny family shows that the script works. `max_memory_allocated` is put beside what
`tests.benchmarks.memory` counts for the same case.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig

from tests.benchmarks.memory import BF16, GIB, Case, EmptyLatents, batch_of, peaks, stand_in
from train.adapters.adapter import Adapter
from train.device import abilities, device_name, forget_unused, pick_device
from train.loop import Trainer
from train.models.base import BaseModel
from train.models.diffusers_parts import DDIMScheduler
from train.models.families.registry import FAMILIES
from train.models.load import load_base
from train.models.speed import float32_products
from train.models.storage import Keeping
from train.optimization.optimizers import read_arguments
from train.options.recipe import trained_config
from train.run.resume_state import StateFile
from train.run.step_log import RunLog

WARM_UP = 3
LAYERS = ["to_k", "to_q", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out"]
"""What prep's LoRA is attached to in the UNet, by the names that PEFT takes."""
SWITCHES: dict[str, dict[str, Any]] = {
    "channels_last": {"channels_last": True},
    "tf32": {"tf32": True},
    "compile": {"compile": True},
}
"""Options that make a step faster on some devices."""
KEEPING = Keeping(BF16, BF16, lean=True)
CASES = {
    "SD 1.5, 512², 4": Case(family="sd1", size=(512, 512), batch_size=4, options={"rank": 32}, keeping=KEEPING),
    "SDXL, 1024², 1": Case(family="sdxl", size=(1024, 1024), options={"rank": 32}, keeping=KEEPING),
}


def random_base(case: Case, device: torch.device) -> BaseModel:
    """Full size, with weights that keep what they are shown of about the same size."""

    def read(shape: tuple[int, ...]) -> torch.Tensor:
        if len(shape) < 2:
            return torch.ones(shape, dtype=torch.bfloat16)
        return torch.randn(shape, dtype=torch.bfloat16) * torch.Size(shape[1:]).numel() ** -0.5

    scheduler = DDIMScheduler(**FAMILIES[case.family].configs()["scheduler"])
    return stand_in(case.family, scheduler, case.keeping, device, read)


def timed(step: Callable[[], Any], steps: int, device: torch.device) -> tuple[float, float]:
    """(median seconds, peak GiB) of a step."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds = []
    for number in range(WARM_UP + steps):
        begun = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if number >= WARM_UP:
            seconds.append(time.perf_counter() - begun)
    peak = torch.cuda.max_memory_allocated(device) / GIB if device.type == "cuda" else float("nan")
    return statistics.median(seconds), peak


def ours(base: BaseModel, case: Case) -> Callable[[], Any]:
    """A step of prep's own training."""
    recipe = case.recipe
    adapter = Adapter(trained_config(recipe), base.unet, *base.text_encoders).to(base.device)
    arguments = read_arguments(recipe.optimizer.optimizer, recipe.optimizer.optimizer_args)
    log = RunLog(Path("unwritten"), Path("unwritten"))
    latents: Any = EmptyLatents(base)
    trainer = Trainer(recipe, base, adapter, latents, StateFile(Path("unwritten"), ""), arguments, log)
    adapter.attach()
    batch = batch_of(case)

    def step() -> None:
        trainer._learn(batch, 1)
        trainer._update(0, 1)

    return step


def theirs(base: BaseModel, case: Case) -> Callable[[], Any]:
    """A step as diffusers' example trains."""
    unet: Any = base.unet
    rank = case.options["rank"]
    unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=LAYERS))
    trained = [weight for weight in unet.parameters() if weight.requires_grad]
    for weight in trained:
        weight.data = weight.data.float()
    if case.options.get("gradient_checkpointing"):
        unet.enable_gradient_checkpointing()
    unet.train()
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=1e-2)
    width, height = (side // base.latent_factor for side in case.size)
    latents = torch.randn(case.batch_size, 4, height, width, device=base.device)
    states = torch.randn(case.batch_size, 77, unet.config.cross_attention_dim, device=base.device)
    added = {
        "text_embeds": torch.randn(case.batch_size, 1280, device=base.device),
        "time_ids": torch.zeros(case.batch_size, 6, device=base.device),
    }

    def step() -> None:
        noise = torch.randn_like(latents)
        times = torch.randint(0, 1000, (case.batch_size,), device=base.device)
        with torch.autocast(base.device.type, torch.bfloat16, enabled=bool(abilities(base.device).half)):
            predicted = unet(latents, times, states, added_cond_kwargs=added).sample
        torch.nn.functional.mse_loss(predicted.float(), noise).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def measured(case: Case, base_of: Callable[[], BaseModel], steps: int, profile: bool) -> None:
    """Print both, each on a model of its own."""
    found = {}
    for name, make in (("prep", ours), ("diffusers", theirs)):
        base = base_of()
        with base.using("unet", *(() if name == "diffusers" else ("text",))):
            step = make(base, case)
            found[name] = timed(step, steps, base.device)
            if profile and name == "prep":
                _profile(step)
        device = base.device
        del base, step
        forget_unused(device)
    (prep_s, prep_gib), (diffusers_s, diffusers_gib) = found["prep"], found["diffusers"]
    print(
        f"  prep {prep_s:.3f} s, {prep_gib:.2f} GiB; diffusers {diffusers_s:.3f} s, {diffusers_gib:.2f} GiB; "
        f"ratio {prep_s / diffusers_s:.2f}",
        flush=True,
    )


def switched(case: Case, base_of: Callable[[], BaseModel], steps: int) -> None:
    """Print prep's step with every switch alone and with all together, each on a model of its own."""
    whole = {name: value for each in SWITCHES.values() for name, value in each.items()}
    first = 0.0
    for name, options in ({"no switch": {}} | SWITCHES | {"all": whole}).items():
        base, begun = base_of(), time.perf_counter()
        with base.using("unet", "text"), float32_products("tf32" in options):
            step = ours(base, replace(case, options={**case.options, **options}))
            step()
            ready = time.perf_counter() - begun
            seconds, gib = timed(step, steps, base.device)
        first = first or seconds
        print(f"  {name}: {seconds:.3f} s ({seconds / first:.2f}), {gib:.2f} GiB, first step {ready:.1f} s", flush=True)
        device = base.device
        del base, step
        torch._dynamo.reset()
        forget_unused(device)


def _profile(step: Callable[[], Any]) -> None:
    with torch.profiler.profile() as taken:
        step()
    print(taken.key_averages().table(sort_by="self_cpu_time_total", row_limit=15))


def counted(case: Case) -> float:
    """GiB of a step as the fake device counts them, in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
        return alone.submit(peaks, case, ("train",)).result()["train"]["device"] / GIB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--profile", action="store_true", help="where the time of one step goes")
    parser.add_argument("--switches", action="store_true", help="each of what makes a step faster, alone and together")
    asked = parser.parse_args()
    device = pick_device(asked.device)
    print(f"torch {torch.__version__} on {device_name(device)}")
    if not abilities(device).half:
        case = Case(family="sd1", size=(64, 64), options={"rank": 4, "mixed_precision": "no"}, keeping=Keeping())
        print("the miniature, 64², 1, float32: a GPU is needed for models of full size")
        miniature = partial(load_base, "miniature", device=str(device))
        measured(case, miniature, asked.steps, asked.profile)
        if asked.switches:
            switched(case, miniature, asked.steps)
        return
    for name, whole in CASES.items():
        for checkpointing in (False, True):
            case = replace(whole, options={**whole.options, "gradient_checkpointing": checkpointing})
            print(f"{name}, bf16{', checkpointing' if checkpointing else ''}: counted {counted(case):.2f} GiB")
            measured(case, partial(random_base, case, device), asked.steps, asked.profile)
            if asked.switches and not checkpointing:
                switched(case, partial(random_base, case, device), asked.steps)


if __name__ == "__main__":
    main()
