"""A VAE in the place of the base model's own: from a folder, the hub, or a single file."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pipeline.core.errors import PrepError
from train.models.diffusers_parts import AutoencoderKL
from train.models.families.key_map import VAE
from train.models.loading.parts import empty_vae, fill, vae_finder
from train.models.loading.weights import open_weights
from train.models.locate import find_vae
from train.models.storage import whole_weights

PREFIXES = (VAE, "vae.", "")
"""What the weights' names of VAEs in single files begin with."""


def load_vae(name: str, like: Mapping[str, Any]) -> AutoencoderKL:
    """Load it in float32.

    Args:
        like: the config of the VAE that the base model was made with; a single file is taken to be built alike.

    Raises:
        PrepError: it cannot be had or read, or scales latents otherwise than the base model needs.
    """
    location = find_vae(name)
    if location.is_file():
        return _of_file(location, like)
    try:
        vae = AutoencoderKL.from_pretrained(location, use_safetensors=True, torch_dtype=torch.float32)
    except (OSError, ValueError, KeyError) as error:
        raise PrepError(
            f"VAE {name} does not load from {location}: {error}", "it must be an AutoencoderKL with safetensors weights"
        ) from error
    for key in ("scaling_factor", "latent_channels"):
        if not math.isclose(vae.config[key], like[key], rel_tol=1e-4):
            raise PrepError(
                f"VAE {name} has {key} {vae.config[key]:g}, the base model was made with {like[key]:g}",
                "give a VAE of the base model's family",
            )
    if len(vae.config.block_out_channels) != len(like["block_out_channels"]):
        raise PrepError(f"VAE {name} makes latents of another size", "give a VAE of the base model's family")
    return vae


def _of_file(file: Path, like: Mapping[str, Any]) -> AutoencoderKL:
    weights = open_weights(file)
    prefix = next((each for each in PREFIXES if f"{each}encoder.conv_in.weight" in weights.shapes), None)
    if prefix is None:
        raise PrepError(f"{file} holds no VAE", "give a VAE, or a checkpoint that has one")
    vae = empty_vae(like)
    if prefix == "" and any(name.startswith("encoder.down_blocks.") for name in weights.shapes):
        raise PrepError(
            f"{file} is a VAE in diffusers format without its config", "give the folder that holds its config.json"
        )
    fill(vae, weights, vae_finder(like, prefix), "the base model's VAE")
    return vae


def weights_digest(vae: AutoencoderKL) -> str:
    """SHA-256 over a VAE's weights in float32 and its scaling factor, in hex: the same from a folder as from a file."""
    digest = hashlib.sha256(repr(float(vae.config.scaling_factor)).encode())
    for name, tensor in sorted(whole_weights(vae)):
        digest.update(f"{name}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.detach().to("cpu", torch.float32).contiguous().numpy().data)
    return digest.hexdigest()
