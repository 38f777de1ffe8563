"""What caching latents costs beside the VAE itself: python -m tests.benchmarks.latents [--pictures 24] [--side 256].

Paints JPEGs, then times, in one run and in turn, (a) a bare loop that encodes batches of pixels which lie ready on the
device, and (b) prep's filling of an empty cache from the files: reading, scaling, encoding, checking and writing. Prints
pictures per second and what prep's are of the bare loop's, at least 0.95 being the aim. Without --base the VAE has the
size of Stable Diffusion's and random weights, which cost as much as learned ones.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from tests.benchmarks.decode import paint
from train.base import BaseModel, load_base
from train.latents import LatentCache, Picture, _batches, pixels_of


def sized_vae() -> AutoencoderKL:
    """Stable Diffusion's VAE in structure."""
    blocks = (128, 256, 512, 512)
    vae = AutoencoderKL(
        block_out_channels=blocks,
        down_block_types=("DownEncoderBlock2D",) * len(blocks),
        up_block_types=("UpDecoderBlock2D",) * len(blocks),
        layers_per_block=2,
        latent_channels=4,
    )
    return vae.requires_grad_(False).eval()


def painted(folder: Path, count: int, side_px: int) -> list[Picture]:
    """JPEGs of 1024×1024 pixels to be trained on at side × side."""
    found = []
    for number in range(count):
        file = folder / f"{number}.jpg"
        paint(file, number)
        size = [side_px, side_px]
        found.append(Picture(f"content {number}", file, {"size": size, "scaled": size, "crop": [0, 0, *size]}))
    return found


@torch.no_grad()
def bare(base: BaseModel, batches: list[Tensor]) -> float:
    """Seconds of encoding batches of (B, 3, H, W) and having the results on the CPU."""
    start = clock(base.device)
    for batch in batches:
        posterior = base.vae.encode(batch).latent_dist
        posterior.mean.cpu(), posterior.std.cpu()
    return clock(base.device) - start


def prep(base: BaseModel, pictures: list[Picture]) -> float:
    """Seconds of filling an empty cache."""
    with tempfile.TemporaryDirectory() as scratch:
        cache = LatentCache(Path(scratch), base)
        start = clock(base.device)
        cache.fill(pictures, lambda *_: None)
        return clock(base.device) - start


def clock(device: torch.device) -> float:
    """Seconds, when the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--base", help="encode with this model's VAE")
    parser.add_argument("--pictures", type=int, default=24)
    parser.add_argument("--side", type=int, default=256, help="pixels of the sides that are trained on")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    asked = parser.parse_args()
    base = load_base(asked.base or "miniature", device=asked.device)
    if asked.base is None:
        base = dataclasses.replace(base, vae=sized_vae().to(base.device))
    with tempfile.TemporaryDirectory() as scratch:
        pictures = painted(Path(scratch), asked.pictures, asked.side)
        batches = [
            torch.from_numpy(np.stack([pixels_of(each) for each in batch])).permute(0, 3, 1, 2).to(base.device).contiguous()
            for batch in _batches(pictures)
        ]
        bare(base, batches[:1])
        rounds = [(bare(base, batches), prep(base, pictures)) for _ in range(asked.rounds)]
    print(f"{asked.pictures} pictures at {asked.side} px in batches of {len(batches[0])}, on {base.device}")
    print(f"{'bare /s':>9} {'prep /s':>9} {'prep of bare':>13}")
    for plain, filling in rounds:
        print(f"{asked.pictures / plain:9.2f} {asked.pictures / filling:9.2f} {plain / filling:13.3f}")
    print(f"median {statistics.median(plain / filling for plain, filling in rounds):.3f}")


if __name__ == "__main__":
    main()
