"""What a run takes of a device's memory, counted without one: python -m tests.benchmarks.memory [--row NAME] [--family sdxl …].

prep's own loading, caching, training, sampling and validation run on fake tensors (`fake_device`), which have shapes and
storages but no numbers. Printed is the peak of each phase in GiB: all that is alive at once on the device. What a GPU reports
is more by the context (about 0.3 GiB), the libraries' workspaces, and what its allocator holds in pieces.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from pipeline.store.values.bucket import Bucket
from tests.benchmarks.fake_device import counting, fake_device
from train.adapters.adapter import Adapter
from train.data.augmentation import ImageView
from train.data.batches import Batch
from train.data.dataset import Example
from train.data.latent_cache import Latent, LatentCache, at_once
from train.data.regularization import RegImage
from train.data.sampler import SampledImage
from train.loop import Trainer
from train.models.base import BaseModel
from train.models.diffusers_parts import DDIMScheduler
from train.models.families.registry import FAMILIES
from train.models.load import assembled
from train.models.loading.loaded import Loaded
from train.models.loading.parts import empty_text, empty_unet, empty_vae, fill, text_finder, unet_finder, vae_finder
from train.models.loading.tokenizers import CLIPTokenizer
from train.models.loading.weights import Weights
from train.models.locate import find_folder
from train.models.sampling.generate import Sampling, _decoded, _sampled, _texts
from train.models.sampling.samplers import DDIM
from train.models.storage import Keeping, Numbers
from train.models.text.prompts import Request
from train.optimization.optimizers import read_arguments
from train.options.recipe import Recipe, make_recipe, trained_config
from train.run.resume_state import StateFile
from train.run.step_log import RunLog

GIB = 2**30
Peaks = dict[str, dict[str, int]]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A run: the family of its base model, its (width, height) and options, whether images have a regularization image, how
    the base is kept, and what its file holds."""

    family: str
    size: tuple[int, int]
    options: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int = 1
    regularized: bool = False
    keeping: Keeping
    file: torch.dtype = torch.float16

    @property
    def recipe(self) -> Recipe:
        return make_recipe(
            **{"base": "fake", "steps": 10, "batch_size": self.batch_size, "mixed_precision": "bf16", **self.options}
        )


def stand_in(
    family: str, scheduler: DDIMScheduler, keeping: Keeping, device: torch.device, read: Callable[..., Tensor]
) -> BaseModel:
    """A base model of full size, filled from a file whose tensors `read` makes of their shapes."""
    kind, made = FAMILIES[family], []
    configs = kind.configs()
    unet, vae = empty_unet(configs["unet"]), empty_vae(configs["vae"])
    texts = [empty_text(configs[part.folder], part.pooled) for part in kind.text]
    finders = [(unet, unet_finder(configs["unet"]), keeping.unet), (vae, vae_finder(configs["vae"]), keeping.vae)]
    finders += [(model, text_finder(part), keeping.text) for model, part in zip(texts, kind.text, strict=True)]
    for model, find, numbers in finders:
        shapes, turned = {}, {}
        for name, tensor in model.state_dict().items():
            stored = find(name)
            shape = tuple(reversed(tensor.shape)) if stored.turned else tuple(tensor.shape)
            shapes[stored.key] = (3 * shape[0], *shape[1:]) if stored.third is not None else shape
            turned[stored.key] = stored.turned
        fill(model, _weights(shapes, read), find, family, numbers)
        made.append(model)
    tokenizer = CLIPTokenizer.from_pretrained(find_folder("miniature", None), subfolder="tokenizer")
    found = Loaded(kind, (tokenizer,) * len(texts), tuple(texts), vae, unet, scheduler, "epsilon")
    return assembled("fake", Path("fake"), found, device, keeping)


def _weights(shapes: Mapping[str, tuple[int, ...]], make: Callable[..., Tensor]) -> Weights:
    def read(name: str) -> Tensor:
        return make(shapes[name])

    return Weights(Path("fake"), shapes, {}, read, read)


class EmptyLatents:
    """Latents of any image, on the host, with nothing in them."""

    def __init__(self, base: BaseModel) -> None:
        self._base = base

    def read(self, image: ImageView) -> Latent:
        shape = (4, image.size[1] // self._base.latent_factor, image.size[0] // self._base.latent_factor)
        return Latent(torch.zeros(shape), torch.zeros(shape))


def batch_of(case: Case) -> Batch:
    """Its batch: images of its size, and their regularization images."""
    width, height = case.size
    bucket = Bucket(size=case.size, scaled=case.size, crop=(0, 0, width, height))
    examples = []
    for number in range(case.batch_size):
        view = ImageView(f"{number}", Path(f"{number}.png"), bucket)
        beside = (RegImage(replace(view, content=f"{number} beside"), "1girl", True),) if case.regularized else ()
        entry = SampledImage(f"{number}.png", case.size, 1.0)
        examples.append(Example(entry, "Lumi", view, "Lumi, 1girl, smile", ("Lumi",), beside))
    return Batch(0, 0, tuple(examples))


def peaks(case: Case, phases: tuple[str, ...] = ("load", "cache", "train", "sample")) -> Peaks:
    """Peak bytes of every phase, of the device and the host."""
    found: Peaks = {}
    scheduler = DDIMScheduler(**FAMILIES[case.family].configs()["scheduler"])  # with numbers
    with counting() as counter:
        with counter.phase(found, "load"):
            read = partial(torch.empty, dtype=case.file)
            base = stand_in(case.family, scheduler, case.keeping, fake_device(), read)
        if "cache" in phases:
            with counter.phase(found, "cache"):
                _cache(base, case)
        if "train" in phases:
            with counter.phase(found, "train"):
                _train(base, case)
        if "sample" in phases:
            with counter.phase(found, "sample"):
                _sample(base, case)
    return found


def _cache(base: BaseModel, case: Case) -> None:
    cache = LatentCache.__new__(LatentCache)
    cache._base, cache._dtype = base, torch.float16  # type: ignore[attr-defined]
    count = at_once(case.size[0] * case.size[1])
    pixels = torch.empty(count, case.size[1], case.size[0], 3).permute(0, 3, 1, 2).contiguous()
    with base.using("vae"), torch.no_grad():
        cache._coded(pixels.to(base.device), torch.float16)


class _Sides(tuple[int, ...]):
    """Sides of a kernel, of which a library wants the product as a number, which no fake tensor has."""

    def prod(self) -> _Sides:
        return _Sides([math.prod(self)])

    def item(self) -> int:
        return self[0]


def _sides_or_tensor(value: Any, *args: Any, **more: Any) -> Any:
    return _Sides(value) if isinstance(value, tuple) else TENSOR(value, *args, **more)


TENSOR = torch.tensor


def _moved(adapter: Adapter, device: torch.device) -> Adapter:
    """As `adapter.to`, which does not take fake tensors."""
    for module in adapter.modules():
        for holder, own in ((module._parameters, torch.nn.Parameter), (module._buffers, Tensor.detach)):
            for name, tensor in holder.items():
                if tensor is not None:
                    holder[name] = own(tensor.detach().to(device))  # type: ignore[operator]
    return adapter


def waits(case: Case) -> list[str]:
    """The operations of a second step, once everything is warm, for which the host waits for the device."""
    scheduler = DDIMScheduler(**FAMILIES[case.family].configs()["scheduler"])
    with counting() as counter:
        base = stand_in(case.family, scheduler, case.keeping, fake_device(), partial(torch.empty, dtype=case.file))
        _train(base, case, counter.waits.clear)
        return list(counter.waits)


def _train(base: BaseModel, case: Case, before_step: Callable[[], object] = lambda: None) -> None:
    recipe = case.recipe
    with patch("torch.tensor", _sides_or_tensor):  # by which LyCORIS multiplies the sides of kernels
        adapter = _moved(Adapter(trained_config(recipe), base.unet, *base.text_encoders), base.device)
    log = RunLog(Path("fake"), Path("fake"))
    arguments = read_arguments(recipe.optimizer.optimizer, recipe.optimizer.optimizer_args)
    with patch("train.loop.training_alphas_cumprod", lambda alphas_cumprod, *_: alphas_cumprod):  # looks at numbers
        trainer = Trainer(recipe, base, adapter, EmptyLatents(base), StateFile(Path("fake"), ""), arguments, log)  # type: ignore[arg-type]
    adapter.attach()
    batch = batch_of(case)
    with base.using(*trainer._parts):
        for update in range(2):
            before_step()
            trainer._learn(batch, 1)
            trainer._update(update, 2)
    adapter.detach()


def _sample(base: BaseModel, case: Case) -> None:
    requests = [Request("Lumi, 1girl", 1, case.size, "", steps=2, guidance=7.0, sampler=DDIM)]
    with torch.no_grad(), patch("train.models.sampling.ddim.ends_in_noise", lambda _: False):  # looks at numbers
        with base.arithmetic():
            texts = _texts(base, requests, [0], Sampling())
            with base.using("unet"):
                latents = _sampled(base, requests, texts[0], base.alphas_cumprod, 0.0)
        with base.using("vae"):
            _decoded(base.vae, latents)


BF16 = Numbers(torch.bfloat16)
FP8 = Numbers(torch.bfloat16, "fp8")
STREAMED = Keeping(replace(BF16, streamed=True), BF16, lean=True)
LEAN, LEAN8 = Keeping(BF16, BF16, lean=True), Keeping(FP8, FP8, lean=True)
SDXL = {"rank": 32, "gradient_checkpointing": True}
ROWS = {
    "SDXL LoRA 32": Case(family="sdxl", size=(1024, 1024), options=SDXL, keeping=LEAN),
    "SDXL LoRA 32, fp8": Case(family="sdxl", size=(1024, 1024), options=SDXL, keeping=LEAN8),
    "SDXL LoRA 32, blocks": Case(family="sdxl", size=(1024, 1024), options=SDXL, keeping=STREAMED),
    "SDXL LoRA 32, both text encoders, blocks": Case(
        family="sdxl", size=(1024, 1024), options={**SDXL, "train_text_encoder": True}, keeping=STREAMED
    ),
    "SDXL LoRA 32, both text encoders": Case(
        family="sdxl", size=(1024, 1024), options={**SDXL, "train_text_encoder": True}, keeping=LEAN
    ),
    "SDXL LoHa 16/8": Case(
        family="sdxl",
        size=(1024, 1024),
        options={**SDXL, "algorithm": "loha", "rank": 16, "conv_rank": 8},
        keeping=LEAN,
    ),
    "SDXL LoKr 4": Case(
        family="sdxl", size=(1024, 1024), options={**SDXL, "algorithm": "lokr", "rank": 4}, keeping=LEAN
    ),
    "SD 1.5 LoRA, 4 + 4": Case(
        family="sd1", size=(512, 512), batch_size=4, regularized=True, options={"rank": 32}, keeping=LEAN
    ),
    "SD 1.5 LoRA, 4 + 4, checkpointing": Case(
        family="sd1",
        size=(512, 512),
        batch_size=4,
        regularized=True,
        options={"rank": 32, "gradient_checkpointing": True},
        keeping=LEAN,
    ),
}


def rows(asked: str | None) -> Iterator[tuple[str, Case]]:
    yield from ((name, case) for name, case in ROWS.items() if asked is None or asked in name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", help="only rows whose name holds this")
    asked = parser.parse_args()
    print(f"{'GiB on the device':<42}{'load':>8}{'cache':>8}{'train':>8}{'sample':>8}{'host':>8}{'s':>6}")
    for name, case in rows(asked.row):
        begun = time.perf_counter()
        found = peaks(case)
        figures = "".join(f"{found[each]['device'] / GIB:8.2f}" for each in ("load", "cache", "train", "sample"))
        host = max(each["host"] for each in found.values()) / GIB
        print(f"{name:<42}{figures}{host:8.2f}{time.perf_counter() - begun:6.0f}", flush=True)


if __name__ == "__main__":
    main()
