"""What each algorithm's step costs: python -m tests.benchmarks.algorithms [--rounds 5] [--device cpu] [--part steps].

Forward and backward of a few layers as a Stable Diffusion UNet has them (linear layers of 320 to 1280 channels, 3 × 3
convolutions), measured in turns for the frozen layers, prep's algorithms and lycoris-lora's own forward passes, so that all
see the same load of the machine. Prints the ratio of each to the frozen layers, the medians of all rounds.

Then whole training steps, with AdamW's, of LoHa 8/4 with alpha 1, the default of alea31415's LyCORIS experiments, against
LoCon of the same ranks and of those with as many numbers, 16/8: on the miniature's UNet and on one with the first two
levels of SD 1.5's at 256 px. Their ratio is to be 1.15 at most.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from train.adapters.adapter import Adapter, AdapterConfig
from train.adapters.config import LayerConfig
from train.adapters.inject.base_layer import BaseLayer
from train.adapters.inject.dropout import Dropout
from train.adapters.inject.initial_weights import initial_weights
from train.adapters.inject.layer_tensors import LayerTensors
from train.adapters.registry import ALGORITHMS
from train.models.load import load_base

CASES = {
    "lora 16": ("lora", LayerConfig(rank=16, alpha=8.0)),
    "lora 16 dora": ("lora", LayerConfig(rank=16, alpha=8.0, dora=True)),
    "loha 4": ("loha", LayerConfig(rank=4, alpha=1.0)),
    "loha 8": ("loha", LayerConfig(rank=8, alpha=1.0)),
    "loha 32": ("loha", LayerConfig(rank=32, alpha=1.0)),
    "lokr 8, factor 8": ("lokr", LayerConfig(rank=8, alpha=1.0, factor=8)),
    "lokr full, factor 4": ("lokr", LayerConfig(rank=8, alpha=1.0, factor=4, full_matrix=True)),
    "glora 8": ("glora", LayerConfig(rank=8, alpha=1.0)),
    "full": ("full", LayerConfig()),
    "oft 16": ("oft", LayerConfig(rank=16)),
    "ia3": ("ia3", LayerConfig()),
    "dylora 16": ("dylora", LayerConfig(rank=16, alpha=8.0)),
    "boft 10": ("boft", LayerConfig(rank=10)),
}
WITHOUT = ("full", "dylora")
"""The library's passes that are left out: full takes the layer's weight away, DyLoRA draws from a global generator."""


COMPARED = {
    "loha 8/4": AdapterConfig(algorithm="loha", rank=8, alpha=1.0, convolutions=True, conv_rank=4, conv_alpha=1.0),
    "locon 8/4": AdapterConfig(algorithm="locon", rank=8, alpha=1.0, convolutions=True, conv_rank=4, conv_alpha=1.0),
    "locon 16/8": AdapterConfig(algorithm="locon", rank=16, alpha=1.0, convolutions=True, conv_rank=8, conv_alpha=1.0),
}


def layers(device: torch.device) -> list[tuple[nn.Module, Tensor]]:
    """(layer, input) of a low, a middle and a deep level at 256 px, and a feed-forward network's first layer."""
    made: list[tuple[nn.Module, Tensor]] = []
    for out, inner, tokens in ((320, 320, 1024), (640, 640, 256), (1280, 1280, 64), (2560, 320, 1024)):
        made.append((nn.Linear(inner, out), torch.randn(1, tokens, inner)))
    for out, inner, side in ((320, 320, 32), (640, 640, 16), (1280, 1280, 8)):
        made.append((nn.Conv2d(inner, out, 3, padding=1), torch.randn(1, inner, side, side)))
    return [(layer.requires_grad_(False).to(device), x.to(device).requires_grad_()) for layer, x in made]


def steps(name: str, config: LayerConfig, layer: nn.Module) -> tuple[Callable[[Tensor], Tensor], Callable | None]:
    """prep's forward pass and the library's, None where that has none to compare with."""
    base_layer, algorithm = BaseLayer.of(layer), ALGORITHMS[name]
    tensors = initial_weights(algorithm, "layer", layer, config)
    trained = algorithm.trained(LayerTensors(algorithm, tensors).to(base_layer.weight.device))
    dropout = Dropout("layer")
    if name in WITHOUT:
        return lambda x: trained.output(base_layer, x, 1.0, dropout), None
    theirs = algorithm.trained.library_module("layer", layer, config).to(base_layer.weight.device)
    return lambda x: trained.output(base_layer, x, 1.0, dropout), theirs


def seconds(pairs: list[tuple[Callable[[Tensor], Tensor], Tensor]], device: torch.device) -> float:
    """One forward and backward pass through all of them."""
    begun = clock(device)
    for forward, x in pairs:
        forward(x).sum().backward()
        x.grad = None
    return clock(device) - begun


def clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def unets(device: torch.device) -> Iterator[tuple[str, UNet2DConditionModel, int, int]]:
    """(what it is, the UNet, images a batch, latent pixels along a side)."""
    yield "the miniature", load_base("miniature", device=str(device)).unet, 4, 16
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        block_out_channels=(320, 640),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=768,
        attention_head_dim=8,
    )
    yield "SD 1.5's first levels", unet.requires_grad_(False).to(device), 1, 32


def training_step(unet: UNet2DConditionModel, config: AdapterConfig, images: int, side: int) -> Callable[[], float]:
    """A step that takes its seconds, with the adapter attached for as long."""
    device = unet.device
    adapter = Adapter(config, unet).to(device)
    optimizer = torch.optim.AdamW(adapter.parameters(), lr=1e-6, fused=True)
    noisy = torch.randn(images, 4, side, side, device=device)
    states = torch.randn(images, 77, unet.config.cross_attention_dim, device=device)
    times = torch.full((images,), 500, device=device)

    def step() -> float:
        adapter.attach()
        begun = clock(device)
        F.mse_loss(unet(noisy, times, states).sample, noisy).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        taken = clock(device) - begun
        adapter.detach()
        return taken

    return step


def compare_steps(device: torch.device, rounds: int) -> None:
    for what, unet, images, side in unets(device):
        steps_of = {name: training_step(unet, config, images, side) for name, config in COMPARED.items()}
        for step in steps_of.values():
            step()
        taken = [{name: step() for name, step in steps_of.items()} for _ in range(rounds)]
        first = next(iter(COMPARED))
        for other in list(COMPARED)[1:]:
            ratio = statistics.median(each[first] / each[other] for each in taken)
            seconds_of = statistics.median(each[other] for each in taken)
            print(f"{what}: {first} takes {ratio:.2f} of {other}'s {1000 * seconds_of:.0f} ms a step", flush=True)


def compare_layers(device: torch.device, rounds: int) -> None:
    made = layers(device)
    frozen = [(layer.forward, x) for layer, x in made]
    print(f"{'algorithm':<22} {'prep':>6} {'library':>8}   (forward and backward, frozen layers = 1)")
    for name, (algorithm, config) in CASES.items():
        both = [(steps(algorithm, config, layer), x) for layer, x in made]
        ours = [(pair[0], x) for pair, x in both]
        theirs = [(pair[1], x) for pair, x in both if pair[1] is not None]
        seconds(ours, device), seconds(theirs, device)
        ratios: list[list[float]] = [[], []]
        for _ in range(rounds):
            base = seconds(frozen, device)
            ratios[0].append(seconds(ours, device) / base)
            ratios[1].append(seconds(theirs, device) / base)
        shown = f"{statistics.median(ratios[1]):8.2f}" if theirs else f"{'':>8}"
        print(f"{name:<22} {statistics.median(ratios[0]):6.2f} {shown}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--part", choices=["layers", "steps", "both"], default="both")
    asked = parser.parse_args()
    device = torch.device(asked.device)
    if asked.part != "steps":
        compare_layers(device, asked.rounds)
    if asked.part != "layers":
        compare_steps(device, asked.rounds)


if __name__ == "__main__":
    main()
