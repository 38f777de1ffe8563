"""The base model: tokenizer, text encoder, VAE, UNet and noise schedule of one Stable Diffusion 1.x or 2.x model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer
from transformers.utils.logging import disable_progress_bar

from pipeline.errors import PrepError
from train.conditioning import Conditioning
from train.folder import find_folder, folder_digest


@dataclass(eq=False)
class BaseModel:
    """Everything frozen that training and sampling need, on one device. `digest` identifies the weights."""

    name: str
    folder: Path
    tokenizer: CLIPTokenizer
    text_encoder: CLIPTextModel
    vae: AutoencoderKL
    unet: UNet2DConditionModel
    alphas_cumprod: Tensor
    prediction: str
    device: torch.device

    @cached_property
    def digest(self) -> str:
        return folder_digest(self.folder)

    @property
    def latent_factor(self) -> int:
        """Pixels per latent pixel along one side: 8 for SD, 4 for the miniature."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    def predict(self, noisy: Tensor, times: Tensor | int, conditioning: Conditioning) -> Tensor:
        """(B, 4, h, w) noise or velocity that the UNet sees in (B, 4, h, w) latents at the timesteps (B,), or at one."""
        return self.unet(noisy, times, conditioning.states).sample


def pick_device(asked: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:1`; a GPU asked for and not usable is an error, never a quiet CPU."""
    if asked == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(asked)
    except RuntimeError as error:
        raise PrepError(f"device {asked!r} is unknown", "write auto, cpu, cuda or cuda:1") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise PrepError(
            f"device {asked} was asked for, but torch {torch.__version__} sees no CUDA device",
            "check the driver with nvidia-smi, or use --device cpu",
        )
    return device


def load_base(name: str, revision: str | None = None, device: str = "auto") -> BaseModel:
    """Load a base model in float32, frozen, from safetensors only."""
    disable_progress_bar()
    folder, place = find_folder(name, revision), pick_device(device)
    if not (folder / "model_index.json").is_file():
        raise PrepError(
            f"{folder} is no diffusers model: it has no model_index.json",
            "convert a single-file checkpoint with diffusers' from_single_file(…).save_pretrained(FOLDER)",
        )
    try:
        scheduler = DDIMScheduler.from_pretrained(folder, subfolder="scheduler")
        models = {
            part: kind.from_pretrained(folder, subfolder=part, use_safetensors=True, torch_dtype=torch.float32)
            for part, kind in (("text_encoder", CLIPTextModel), ("vae", AutoencoderKL), ("unet", UNet2DConditionModel))
        }
        tokenizer = CLIPTokenizer.from_pretrained(folder, subfolder="tokenizer")
    except (OSError, ValueError, KeyError) as error:
        raise PrepError(
            f"base model {name} does not load from {folder}: {error}",
            "it must be Stable Diffusion 1.x or 2.x in diffusers format with safetensors weights",
        ) from error
    for model in models.values():
        model.requires_grad_(False).eval().to(place)
    return BaseModel(
        name,
        folder,
        tokenizer,
        models["text_encoder"],
        models["vae"],
        models["unet"],
        scheduler.alphas_cumprod,
        scheduler.config.prediction_type,
        place,
    )
