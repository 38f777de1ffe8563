"""Teach the miniature's AutoencoderKL to keep what the painter paints: 4 latent channels, one latent pixel for 4×4."""

from __future__ import annotations

import logging

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional

from train.miniature.examples import Group, batches

log = logging.getLogger(__name__)


def new_autoencoder() -> AutoencoderKL:
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        block_out_channels=(24, 48, 64),
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        norm_num_groups=8,
        sample_size=64,
        mid_block_add_attention=False,
    )


def to_tensor(pixels: np.ndarray) -> Tensor:
    """(B, H, W, 3) uint8 → (B, 3, H, W) float32 in -1..1."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1


def detail_weight(images: Tensor) -> Tensor:
    """(B, 3, H, W) → (B, 1, H, W), at least 1: pixels that differ from their surroundings count up to several times,
    so that eyes and mouths are not traded for flat skies."""
    blurred = functional.avg_pool2d(images, 5, stride=1, padding=2, count_include_pad=False)
    return 1 + 4 * (images - blurred).abs().mean(1, keepdim=True).clamp(max=1)


def learn_autoencoder(painted: list[Group], steps: int, seed: int) -> AutoencoderKL:
    """Train from scratch and set the scaling factor to 1 / the latents' standard deviation."""
    torch.manual_seed(seed)
    model = new_autoencoder()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.99), weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps, pct_start=0.05)
    draw = batches([len(group.scenes) for group in painted], 24, np.random.default_rng([3, seed]))
    for step in range(steps):
        group, chosen = next(draw)
        images = to_tensor(painted[group].pixels[chosen])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            posterior = model.encode(images).latent_dist
            decoded = model.decode(posterior.sample()).sample.float()
        difference = (decoded - images) * detail_weight(images)
        loss = difference.abs().mean() + difference.pow(2).mean() + 2e-4 * posterior.kl().mean() / 256
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            log.info("autoencoder %d/%d loss %.4f", step, steps, loss.item())
    with torch.no_grad():
        latents = [model.encode(to_tensor(group.pixels[:64])).latent_dist.mean.flatten() for group in painted]
    model.register_to_config(scaling_factor=round(1 / float(torch.cat(latents).std()), 5))
    return model.eval()
