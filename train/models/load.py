"""Load a base model: UNet, text encoders, VAE and noise schedule, from a folder, a hub repository or one file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

# isort: split
from torch import nn

from pipeline.core.errors import PrepError
from train.device import pick_device, return_freed_memory
from train.models.base import BaseModel
from train.models.diffusers_parts import AutoencoderKL
from train.models.finite import refuse_not_finite
from train.models.loading.diffusers_folder import load_folder
from train.models.loading.loaded import Loaded
from train.models.loading.prediction_probe import TIMES, inferred_prediction, noise_shares
from train.models.loading.single_file import load_file
from train.models.loading.vae import load_vae
from train.models.locate import find_folder
from train.models.options import ModelOptions
from train.models.residency import Residency, put
from train.models.storage import WHOLE, Keeping, stream
from train.models.text.conditioning import whole_image, with_sizes
from train.models.text.text_encoding import text_conditioning


def load_base(
    name: str,
    revision: str | None = None,
    device: str = "auto",
    *,
    vae: str | None = None,
    tokenizer: Path | None = None,
    prediction: str = "auto",
    keeping: Keeping = WHOLE,
) -> BaseModel:
    """Load a base model, frozen, with nothing in its files run; in float32 and all of it on the device unless `keeping` says
    otherwise.

    Args:
        name: a folder in diffusers format, a single file, a hub repository, or `miniature`.
        vae: another VAE: a folder, a hub repository or a single file.
        tokenizer: a folder with CLIP's vocabulary.
        prediction: epsilon, v_prediction, or auto, which takes what the files say, else what the UNet shows.

    Raises:
        PrepError: it cannot be had, read or trained, or what it predicts cannot be inferred.
    """
    location, target = find_folder(name, revision), pick_device(device)
    if target.type == "cpu" and keeping.unet.kept != "full":
        return_freed_memory()
    found = (
        load_file(location, tokenizer, vae is None, prediction != "auto", keeping)
        if location.is_file()
        else load_folder(name, location, tokenizer, vae is None, keeping)
    )
    own = found.vae if vae is None else load_vae(vae, _vae_config(location, found))
    if own is None:
        raise PrepError(f"{location} holds no VAE", "give one of its family: vae = FOLDER, FILE or OWNER/NAME")
    base = assembled(name, location, replace(found, vae=own), target, keeping, own_vae=vae is None)
    if prediction != "auto":
        return replace(base, prediction=prediction, warnings=_overruled(location, prediction, found))
    if base.prediction:
        return base
    refuse_not_finite(base)
    return _measured(base)


def assembled(
    name: str, location: Path, found: Loaded, device: torch.device, keeping: Keeping, *, own_vae: bool = True
) -> BaseModel:
    """The model of parts that are on the host: put on the device, or with `keeping.lean` left there until they are used."""
    assert found.vae is not None
    parts: dict[str, tuple[nn.Module, ...]] = {"text": found.text_encoders, "vae": (found.vae,), "unet": (found.unet,)}
    for model in (model for models in parts.values() for model in models):
        model.requires_grad_(False).eval()
        if not keeping.lean:
            put(model, device)
    if keeping.unet.streamed:
        stream(found.unet, device)
    return BaseModel(
        name=name,
        folder=location,
        family=found.family.name,
        tokenizers=found.tokenizers,
        text_encoders=found.text_encoders,
        vae=found.vae,
        unet=found.unet,
        alphas_cumprod=found.alphas_cumprod,
        prediction=found.prediction or "",
        device=device,
        own_vae=own_vae,
        keeping=keeping,
        residency=Residency(device, parts) if keeping.lean else None,
    )


def _vae_config(location: Path, found: Loaded) -> dict[str, Any]:
    if location.is_dir():
        return dict(AutoencoderKL.load_config(location, subfolder="vae"))
    return dict(found.family.configs()["vae"])


def _overruled(location: Path, asked: str, found: Loaded) -> tuple[str, ...]:
    if found.prediction in (None, asked):
        return ()
    return (f"{location} says that it predicts {found.prediction}; {asked} was asked for and is taken",)


def _measured(base: BaseModel) -> BaseModel:
    """The model with the prediction that its UNet shows.

    Raises:
        PrepError: it shows neither.
    """
    with torch.no_grad():
        text = with_sizes(text_conditioning(base, [""]), [whole_image((1024, 1024))])
    alphas_cumprod, channels = base.alphas_cumprod, base.unet.config.in_channels
    with base.using("unet"), base.arithmetic():
        shares = noise_shares(
            lambda noisy, times: base.predict(noisy, times, text), alphas_cumprod, channels, base.device
        )
    inferred = inferred_prediction(shares, alphas_cumprod)
    seen = f"gives back {shares[0]:.0%} of the noise at timestep {TIMES[0]} and {shares[1]:.0%} at {TIMES[1]}"
    if inferred is None:
        raise PrepError(
            f"what {base.folder} predicts cannot be inferred: its files do not say it, and its UNet {seen}",
            "give prediction = epsilon or prediction = v_prediction, as its author says (SD 2.x for 768 pixels: the latter)",
        )
    note = f"{base.folder} does not say what it predicts; {inferred} was measured: its UNet {seen}"
    return replace(base, prediction=inferred, warnings=(note,))


def base_of(options: ModelOptions, device: str, keeping: Keeping = WHOLE) -> BaseModel:
    """The base model that options name.

    Raises:
        PrepError: see `load_base`.
    """
    return load_base(
        options.base,
        options.revision,
        device,
        vae=options.vae,
        tokenizer=options.tokenizer,
        prediction=options.prediction,
        keeping=keeping,
    )
