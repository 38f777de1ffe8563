"""The base model: tokenizers, text encoders, VAE, UNet and noise schedule of one SD 1.x, SD 2.x or SDXL model."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTokenizer

from pipeline.errors import PrepError
from train.conditioning import Conditioning, whole_picture, with_sizes
from train.folder import find_folder, folder_digest
from train.models.families import FAMILIES
from train.models.family import Family
from train.models.loaded import Loaded
from train.models.modelfolder import load_folder
from train.models.othervae import load_vae, weights_digest
from train.models.probe import TIMES, noise_shares, told_apart
from train.models.singlefile import load_file
from train.recipe import Recipe
from train.text import text_conditioning


@dataclass(eq=False)
class BaseModel:
    """Everything frozen that training and sampling need, on one device.

    `folder` is the folder or the single file it comes from, `family` sd1, sd2 or sdxl, `prediction` epsilon or
    v_prediction; `alphas_cumprod` ends in 0 with zero-terminal SNR. `notes` say what was found out or overruled.
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
    notes: tuple[str, ...] = ()

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
        """What pictures and adapters made with the model depend on: its files, and the VAE if it is another one."""
        if self.own_vae:
            return self.files_digest
        return hashlib.sha256(f"{self.files_digest}\0{self.vae_digest}".encode()).hexdigest()

    @property
    def latent_factor(self) -> int:
        """Pixels per latent pixel along one side: 8 for SD, 4 for the miniature."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def zero_terminal_snr(self) -> bool:
        """Whether the model's own noise schedule ends in pure noise."""
        return float(self.alphas_cumprod[-1]) == 0

    def predict(self, noisy: Tensor, times: Tensor | int, conditioning: Conditioning) -> Tensor:
        """(B, 4, h, w) noise or velocity that the UNet sees in (B, 4, h, w) latents at the timesteps (B,), or at one."""
        added = None
        if self.kind.sized:
            assert conditioning.pooled is not None and conditioning.sizes is not None, "SDXL is told sizes too"
            added = {"text_embeds": conditioning.pooled, "time_ids": conditioning.sizes}
        return self.unet(noisy, times, conditioning.states, added_cond_kwargs=added).sample


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


def base_of(recipe: Recipe, device: str | None = None) -> BaseModel:
    """The base model that a recipe names, on its device or another.

    Raises:
        PrepError: see `load_base`.
    """
    return load_base(
        recipe.base,
        recipe.revision,
        device or recipe.device,
        vae=recipe.vae,
        tokenizer=recipe.tokenizer,
        prediction=recipe.prediction,
    )


def load_base(
    name: str,
    revision: str | None = None,
    device: str = "auto",
    *,
    vae: str | None = None,
    tokenizer: Path | None = None,
    prediction: str = "auto",
) -> BaseModel:
    """Load a base model in float32, frozen, with nothing in its files run.

    Args:
        name: a folder in diffusers format, a single file, a hub repository, or `miniature`.
        vae: another VAE: a folder, a hub repository or a single file.
        tokenizer: a folder with CLIP's vocabulary.
        prediction: epsilon, v_prediction, or auto, which takes what the files say, else what the UNet shows.

    Raises:
        PrepError: it cannot be had, read or trained, or what it predicts cannot be told.
    """
    place, target = find_folder(name, revision), pick_device(device)
    found = (
        load_file(place, tokenizer, vae is None, prediction != "auto")
        if place.is_file()
        else load_folder(name, place, tokenizer, vae is None)
    )
    own = found.vae if vae is None else load_vae(vae, _vae_config(place, found))
    if own is None:
        raise PrepError(f"{place} holds no VAE", "give one of its family: vae = FOLDER, FILE or OWNER/NAME")
    for model in (*found.text_encoders, own, found.unet):
        model.requires_grad_(False).eval().to(target)
    base = BaseModel(
        name=name,
        folder=place,
        family=found.family.name,
        tokenizers=found.tokenizers,
        text_encoders=found.text_encoders,
        vae=own,
        unet=found.unet,
        alphas_cumprod=found.levels,
        prediction=found.prediction or "",
        device=target,
        own_vae=vae is None,
    )
    if prediction != "auto":
        return replace(base, prediction=prediction, notes=_overruled(place, prediction, found))
    return base if base.prediction else _measured(base)


def _vae_config(place: Path, found: Loaded) -> dict[str, Any]:
    if place.is_dir():
        return dict(AutoencoderKL.load_config(place, subfolder="vae"))
    return dict(found.family.configs()["vae"])


def _overruled(place: Path, asked: str, found: Loaded) -> tuple[str, ...]:
    if found.prediction in (None, asked):
        return ()
    return (f"{place} says that it predicts {found.prediction}; {asked} was asked for and is taken",)


def _measured(base: BaseModel) -> BaseModel:
    """The model with the prediction that its UNet shows.

    Raises:
        PrepError: it shows neither.
    """
    with torch.no_grad():
        text = with_sizes(text_conditioning(base, [""]), [whole_picture((1024, 1024))])
    levels, channels = base.alphas_cumprod, base.unet.config.in_channels
    shares = noise_shares(lambda noisy, times: base.predict(noisy, times, text), levels, channels, base.device)
    told = told_apart(shares, levels)
    seen = f"gives back {shares[0]:.0%} of the noise at timestep {TIMES[0]} and {shares[1]:.0%} at {TIMES[1]}"
    if told is None:
        raise PrepError(
            f"what {base.folder} predicts cannot be told: its files do not say it, and its UNet {seen}",
            "give prediction = epsilon or prediction = v_prediction, as its author says (SD 2.x for 768 pixels: the latter)",
        )
    note = f"{base.folder} does not say what it predicts; {told} was measured: its UNet {seen}"
    return replace(base, prediction=told, notes=(note,))
