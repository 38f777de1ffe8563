"""Teach the miniature base model: the SD 1.x architecture (CLIP text model, UNet, epsilon) from scratch."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from train.miniature.examples import Group, batches, caption
from train.miniature.learn_autoencoder import to_tensor
from train.miniature.scenes import vocabulary
from train.models.sampling.noise_schedule import noised
from train.optimization.objective import min_snr_weight

log = logging.getLogger(__name__)
WIDTH = 128
TEXT_RATE = 0.2
"""Learning rate of the text model, which can read already, as a share of the UNet's."""
SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "prediction_type": "epsilon",
}


@dataclass(frozen=True, slots=True)
class TextSide:
    tokenizer: CLIPTokenizer
    model: CLIPTextModel


def byte_letters() -> list[str]:
    """The 256 characters that CLIP's vocabulary writes bytes with, in its order."""
    return sorted(pre_tokenizers.ByteLevel.alphabet())


def new_tokenizer(folder: Path) -> CLIPTokenizer:
    """Learn a small BPE vocabulary in CLIP's format in which every word of the painter's tags is one token."""
    words = sorted({word for name, _ in vocabulary() for word in re.findall("[a-z]+", name)})
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(
        vocab_size=4000,
        end_of_word_suffix="</w>",
        show_progress=False,
        initial_alphabet=byte_letters(),
        min_frequency=1,
    )
    learner.train_from_iterator([" ".join(words)] * 2, trainer)
    merges = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    letters = byte_letters()
    names = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in merges)]
    names = [*dict.fromkeys(names), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(
        json.dumps({name: index for index, name in enumerate(names)}, ensure_ascii=False), encoding="utf-8"
    )
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    CLIPTokenizer.from_pretrained(folder, model_max_length=77).save_pretrained(folder)
    tokenizer: CLIPTokenizer = CLIPTokenizer.from_pretrained(folder)
    return tokenizer


def new_text_model(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    size = len(tokenizer)
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=size,
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            num_hidden_layers=3,
            num_attention_heads=4,
            projection_dim=WIDTH,
            max_position_embeddings=77,
            hidden_act="quick_gelu",
            bos_token_id=size - 2,
            eos_token_id=size - 1,
            pad_token_id=size - 1,
        )
    )


def new_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        block_out_channels=(64, 128),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


class FloatAttention:
    """Attention in float32 under bfloat16 autocast: the fused CPU kernel has a slow bfloat16 backward pass."""

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        """(B, N, C) states attend to themselves or to (B, L, C) text states."""
        source = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        parts = [
            layer(states).unflatten(-1, (attn.heads, -1)).transpose(1, 2).float()
            for layer, states in ((attn.to_q, hidden_states), (attn.to_k, source), (attn.to_v, source))
        ]
        with torch.autocast("cpu", enabled=False):
            mixed = functional.scaled_dot_product_attention(*parts)
        out: Tensor = attn.to_out[0](mixed.transpose(1, 2).flatten(2))
        return out


@torch.no_grad()
def encode(autoencoder: AutoencoderKL, pixels: np.ndarray) -> tuple[Tensor, Tensor]:
    """(N, H, W, 3) uint8 → mean and standard deviation of the scaled latents, each (N, 4, H/4, W/4)."""
    means, spreads = [], []
    for start in range(0, len(pixels), 64):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            posterior = autoencoder.encode(to_tensor(pixels[start : start + 64])).latent_dist
        means.append(posterior.mean.float())
        spreads.append(posterior.std.float())
    scale = autoencoder.config.scaling_factor
    return torch.cat(means) * scale, torch.cat(spreads) * scale


def token_ids(tokenizer: CLIPTokenizer, captions: list[str]) -> Tensor:
    """(B, 77) ids, padded and cut as SD 1.x does."""
    ids: Tensor = tokenizer(
        captions, padding="max_length", max_length=77, truncation=True, return_tensors="pt"
    ).input_ids
    return ids


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of training: a one-cycle learning rate over `steps`, left after `stop` of them, with its loss weights.

    Its text model is `new`, new and `taught` to read, or `kept` from the phase before.
    """

    steps: int
    stop: int
    rate: float
    weight: Callable[[Tensor], Tensor]
    reader: Literal["new", "taught", "kept"]


def even_weight(snr: Tensor) -> Tensor:
    """min(snr, 5) / snr for an epsilon loss (Hang et al. 2023, arXiv:2303.09556); (B,) in and out."""
    return min_snr_weight(snr, 5.0)


def composing_weight(snr: Tensor) -> Tensor:
    """As `even_weight`, times that of a velocity loss, 1 + 1 / snr, at most 30: noisy timesteps, where an image is
    composed and the prompt decides most, count as much as clean ones; (B,) in and out."""
    return even_weight(snr) * (1 + 1 / snr).clamp(max=30)


PHASES = (
    Phase(7500, 3000, 1e-3, even_weight, "new"),
    Phase(4000, 1000, 1e-3, composing_weight, "taught"),
    Phase(1500, 1500, 8e-4, composing_weight, "kept"),
)
"""First the images, under a text model that is thrown away; then the prompts, under one that can read; then both,
with the rate going down. Each phase goes on from the last one's averaged weights."""


def learn_base(
    painted: list[Group],
    autoencoder: AutoencoderKL,
    text: TextSide,
    phase: Phase,
    seed: int,
    unet: UNet2DConditionModel | None = None,
    batch: int = 32,
) -> Iterator[tuple[int, UNet2DConditionModel, CLIPTextModel]]:
    """Train UNet (new or given) and text model together; every thousand steps and at the end yields (step, UNet, text
    model), their moving averages."""
    torch.manual_seed(seed)
    rng = np.random.default_rng([5, seed])
    latents = [encode(autoencoder, group.pixels) for group in painted]
    unet = unet or new_unet()
    networks = torch.nn.ModuleList([unet, text.model]).train().requires_grad_(True)
    averaged: Any = deepcopy(networks).requires_grad_(False)
    unet.set_attn_processor(FloatAttention())
    groups = [{"params": unet.parameters()}, {"params": text.model.parameters()}]
    optimizer = torch.optim.AdamW(groups, lr=phase.rate, betas=(0.9, 0.99), weight_decay=1e-3, fused=True)
    rates = [phase.rate, phase.rate * TEXT_RATE]
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rates, total_steps=phase.steps, pct_start=0.04, final_div_factor=50
    )
    noise_levels = DDIMScheduler(**SCHEDULE).alphas_cumprod
    draw = batches([len(group.scenes) for group in painted], batch, rng)
    running = 0.0
    for step in range(phase.stop):
        group, chosen = next(draw)
        mean, spread = (part[chosen] for part in latents[group])
        ids = token_ids(text.tokenizer, [caption(painted[group].scenes[index], rng) for index in chosen])
        clean = mean + spread * torch.randn_like(mean)
        timesteps = torch.randint(0, 1000, (batch,))
        alpha_prod = noise_levels[timesteps]
        noise = torch.randn_like(clean)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            states = text.model(ids).last_hidden_state
            predicted = unet(noised(clean, noise, alpha_prod), timesteps, states).sample.float()
        errors = functional.mse_loss(predicted, noise, reduction="none").mean((1, 2, 3))
        loss = (errors * phase.weight(alpha_prod / (1 - alpha_prod))).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(networks.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        _follow(averaged, networks, min(0.999, (1 + step) / (10 + step)))
        running = 0.99 * running + 0.01 * loss.item() if step else loss.item()
        if step % 100 == 0:
            log.info("base %d/%d loss %.4f", step, phase.stop, running)
        if step % 500 == 499 or step + 1 == phase.stop:
            yield step + 1, averaged[0], averaged[1]


@torch.no_grad()
def _follow(averaged: torch.nn.Module, networks: torch.nn.Module, decay: float) -> None:
    torch._foreach_lerp_(list(averaged.parameters()), list(networks.parameters()), 1 - decay)


def save_base(
    folder: Path, unet: UNet2DConditionModel, text: CLIPTextModel, tokenizer: CLIPTokenizer, autoencoder: AutoencoderKL
) -> None:
    """Save everything in diffusers format, half precision, so that StableDiffusionPipeline opens the folder."""
    for name, model in (("unet", unet), ("text_encoder", text), ("vae", autoencoder)):
        deepcopy(model).half().save_pretrained(folder / name)
    tokenizer.save_pretrained(folder / "tokenizer")
    DDIMScheduler(**SCHEDULE).save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.37.0",
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
