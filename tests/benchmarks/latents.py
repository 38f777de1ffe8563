"""What caching latents costs beside the VAE itself: python -m tests.benchmarks.latents [--images 24] [--side 256].

Paints JPEGs, then times, in one run and in turn, (a) a bare loop that encodes batches of pixels which lie ready on the
device, and (b) prep's filling of an empty cache from the files: reading, scaling, encoding, checking and writing. Prints
images per second and what prep's are of the bare loop's, at least 0.95 being the aim. Without --base the VAE has the
size of Stable Diffusion's and random weights, which cost as much as learned ones.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from pipeline.store.values.bucket import Bucket
from tests.benchmarks.decode import paint
from train.data.latent_cache import ImageView, LatentCache, batches_of, pixels_of
from train.models.base import BaseModel
from train.models.load import load_base


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


def painted(folder: Path, count: int, side_px: int) -> list[ImageView]:
    """JPEGs of 1024×1024 pixels to be trained on at side × side."""
    found = []
    for number in range(count):
        file = folder / f"{number}.jpg"
        paint(file, number)
        size = [side_px, side_px]
        found.append(ImageView(f"content {number}", file, Bucket(size, size, (0, 0, *size))))
    return found


@torch.no_grad()
def bare(base: BaseModel, batches: list[Tensor]) -> None:
    """Encode batches of (B, 3, H, W) and have the results on the CPU."""
    for batch in batches:
        posterior = base.vae.encode(batch).latent_dist
        posterior.mean.cpu(), posterior.std.cpu()


def prep(base: BaseModel, images: list[ImageView], pixels: int) -> None:
    """Fill an empty cache."""
    with tempfile.TemporaryDirectory() as scratch:
        LatentCache(Path(scratch), base, pixels_at_once=pixels).fill(images, lambda *_: None)


def timed(device: torch.device, work: Callable[[], None]) -> np.ndarray:
    """(2,) seconds by the clock, when the device has done all it was given, and of the processor; the latter hardly hear
    of other programs that run meanwhile, but count what other threads do as if it were done one after the other."""
    start = np.array([time.perf_counter(), time.process_time()])
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return np.array([time.perf_counter(), time.process_time()]) - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--base", help="encode with this model's VAE")
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--side", type=int, default=256, help="pixels of the sides that are trained on")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    asked = parser.parse_args()
    base, pixels = load_base(asked.base or "miniature", device=asked.device), asked.batch_size * asked.side**2
    if asked.base is None:
        base = dataclasses.replace(base, vae=sized_vae().to(base.device))
    with tempfile.TemporaryDirectory() as scratch:
        images = painted(Path(scratch), asked.images, asked.side)
        batches = [
            torch.from_numpy(np.stack([pixels_of(each) for each in batch])).permute(0, 3, 1, 2).contiguous()
            for batch in batches_of(images, pixels)
        ]
        batches = [batch.to(base.device) for batch in batches]
        bare(base, batches[:1])
        ratios = []
        print(f"{asked.images} images at {asked.side} px in batches of {len(batches[0])}, on {base.device}")
        print(f"{'bare /s':>9} {'prep /s':>9} {'prep of bare':>13} {'by processor':>13}")
        for _ in range(asked.rounds):
            before = timed(base.device, lambda: bare(base, batches))
            filling = timed(base.device, lambda: prep(base, images, pixels))
            plain = (before + timed(base.device, lambda: bare(base, batches))) / 2
            ratios.append(plain / filling)
            rates = asked.images / plain[0], asked.images / filling[0]
            print(f"{rates[0]:9.2f} {rates[1]:9.2f} {ratios[-1][0]:13.3f} {ratios[-1][1]:13.3f}")
    by_clock, by_processor = np.median(ratios, axis=0)
    print(f"median {by_clock:.3f} by the clock, {by_processor:.3f} by the processor")


if __name__ == "__main__":
    main()
