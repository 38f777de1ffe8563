"""The base model: tokenizers, text encoders, VAE, UNet and noise schedule of one SD 1.x, SD 2.x or SDXL model."""

from __future__ import annotations

import contextlib
import hashlib
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch

# isort: split
from torch import Tensor
from transformers import CLIPTokenizer

from train.models.diffusers_parts import AutoencoderKL, UNet2DConditionModel
from train.models.families.family import Family
from train.models.families.registry import FAMILIES
from train.models.loading.vae import weights_digest
from train.models.locate import folder_digest
from train.models.residency import Residency
from train.models.sampling.noise_schedule import ends_in_noise
from train.models.storage import HALVES, WHOLE, Keeping
from train.models.text.conditioning import Conditioning

Part = Literal["unet", "text", "vae"]


@dataclass(eq=False)
class BaseModel:
    """Everything frozen that training and sampling need, on one device.

    `folder` is the folder or the single file it comes from, `family` sd1, sd2 or sdxl, `prediction` epsilon or
    v_prediction; `alphas_cumprod` ends in 0 with zero-terminal SNR. `warnings` say what was found out or overruled. All parts
    lie on `device`, or with a `residency` those that are being used.
    """

    name: str
    folder: Path
    family: str
    tokenizers: tuple[CLIPTokenizer, ...]
    text_encoders: tuple[Any, ...]
    vae: AutoencoderKL
    unet: UNet2DConditionModel
    alphas_cumprod: Tensor
    prediction: str
    device: torch.device
    own_vae: bool = True
    warnings: tuple[str, ...] = ()
    keeping: Keeping = WHOLE
    residency: Residency | None = None

    @property
    def kind(self) -> Family:
        return FAMILIES[self.family]

    @property
    def tokenizer(self) -> CLIPTokenizer:
        """The first one."""
        return self.tokenizers[0]

    @property
    def text_encoder(self) -> Any:
        """The first one."""
        return self.text_encoders[0]

    @cached_property
    def files_digest(self) -> str:
        """SHA-256 that identifies the files: of a single file that of its bytes, as A1111 shows it."""
        return folder_digest(self.folder)

    @cached_property
    def vae_digest(self) -> str:
        """What latents depend on: SHA-256 over the VAE's weights and scaling factor."""
        return weights_digest(self.vae)

    @property
    def digest(self) -> str:
        """What images and adapters made with the model depend on: its files, and the VAE if it is another one."""
        if self.own_vae:
            return self.files_digest
        return hashlib.sha256(f"{self.files_digest}\0{self.vae_digest}".encode()).hexdigest()

    @property
    def latent_factor(self) -> int:
        """Pixels per latent pixel along one side: 8 for SD, 4 for the miniature."""
        factor: int = 2 ** (len(self.vae.config.block_out_channels) - 1)
        return factor

    @property
    def zero_terminal_snr(self) -> bool:
        """Whether the model's own noise schedule ends in pure noise."""
        return ends_in_noise(self.alphas_cumprod)

    def zero_terminal_with(self, asked: bool) -> bool:
        """Whether a run trains with zero-terminal SNR: it is asked for, or the model's own schedule is so. The one answer
        for the noise, the metadata, the sampler and what is told."""
        return asked or self.zero_terminal_snr

    def using(self, *parts: Part) -> AbstractContextManager[None]:
        """Within, these parts are on the device; which others are is not said."""
        if self.residency is None:
            return contextlib.nullcontext()
        return self.residency.using(*parts)

    def arithmetic(self, part: Part = "unet") -> AbstractContextManager[Any]:
        """Within, a part whose weights are kept for half precision computes in it; another as it does around it."""
        dtype = (self.keeping.text if part == "text" else self.keeping.unet).computed
        return torch.autocast(self.device.type, dtype) if dtype in HALVES else contextlib.nullcontext()

    def predict(self, noisy: Tensor, times: Tensor | int, conditioning: Conditioning) -> Tensor:
        """(B, 4, h, w) noise or velocity that the UNet sees in (B, 4, h, w) latents at the timesteps (B,), or at one."""
        times = torch.full((1,), times, device=noisy.device) if isinstance(times, int) else times.reshape(-1)
        added = None
        if self.kind.sized:
            assert conditioning.pooled is not None and conditioning.sizes is not None, (
                "SDXL is conditioned on sizes too"
            )
            added = {"text_embeds": conditioning.pooled, "time_ids": conditioning.sizes}
        predicted: Tensor = self.unet(noisy, times, conditioning.states, added_cond_kwargs=added).sample
        return predicted
