"""Adapter files with random weights for layers of the miniature, and small checkpoints in the original layout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from adapter_layers import layer_and_difference
from safetensors.torch import load_file, save_file
from torch import Tensor

import train.miniature
from train.adapters.files.checkpoints import Checkpoint, open_checkpoint
from train.adapters.files.layer import Layer
from train.adapters.names.kohya_names import layer_path_of
from train.models.families.key_map import Blocks, unet_to_ldm

MINIATURE = Path(train.miniature.__file__).parent / "base"
LINEAR = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_ff_net_0_proj"
SQUARE = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
POINT = "lora_unet_up_blocks_1_attentions_1_proj_in"
CONV = "lora_unet_down_blocks_0_resnets_0_conv1"
TEXT = "lora_te_text_model_encoder_layers_1_mlp_fc1"
NAMES = (LINEAR, SQUARE, POINT, CONV, TEXT)


def miniature() -> Checkpoint:
    return open_checkpoint(MINIATURE)


def weight_at(base: Checkpoint, name: str) -> Tensor:
    return base.tensor(base.slot(layer_path_of(name))).float()


def made(
    algorithm: str, option: str = "", names: Iterable[str] = NAMES, seed: int = 0
) -> dict[str, tuple[Layer, Tensor]]:
    """Name → layer and the difference LyCORIS gives it on the miniature's weight; Tucker only where there is a kernel."""
    torch.manual_seed(seed)
    base, found = miniature(), {}
    for name in names:
        weight = weight_at(base, name)
        fits = option != "tucker" or (weight.dim() == 4 and weight.shape[-1] > 1)
        layer, delta = layer_and_difference(algorithm, weight, option if fits else "")
        found[name] = Layer(name, layer.algorithm, layer.tensors), delta
    return found


def write(file: Path, layers: Iterable[Layer], metadata: Mapping[str, str] | None = None) -> Path:
    tensors = {f"{layer.name}.{key}": tensor.contiguous() for layer in layers for key, tensor in layer.tensors.items()}
    save_file(tensors, file, dict(metadata or {}))
    return file


def single_file(file: Path, folder: Path = MINIATURE) -> Path:
    """The folder's UNet and text encoder as one file in the original layout of SD 1.x."""
    tensors = {}
    for key, tensor in load_file(folder / "unet" / "diffusion_pytorch_model.safetensors").items():
        path, _, what = key.rpartition(".")
        tensors[f"model.diffusion_model.{unet_to_ldm(path, Blocks(1))}.{what}"] = tensor
    for key, tensor in load_file(folder / "text_encoder" / "model.safetensors").items():
        tensors[f"cond_stage_model.transformer.text_model.{key.removeprefix('text_model.')}"] = tensor
    tensors["first_stage_model.decoder.conv_in.bias"] = torch.arange(3.0)
    save_file(tensors, file, {"modelspec.title": "miniature"})
    return file
