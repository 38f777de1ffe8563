"""Random tiny models of every family, as diffusers folders and as single files."""

import json
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from ldm_files import ldm_tensors
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from train.models.families.registry import FAMILIES
from train.models.loading.tokenizers import load_tokenizers
from train.models.locate import find_folder

VOCABULARY = find_folder("miniature", None) / "tokenizer"
WORDS = 732


def _text(width: int, layers: int, act: str, pad: int, **more) -> dict:
    return {
        "vocab_size": WORDS,
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "max_position_embeddings": 77,
        "hidden_act": act,
        "bos_token_id": 730,
        "eos_token_id": 731,
        "pad_token_id": pad,
        "projection_dim": width,
    } | more


def _unet(cross: int, **more) -> dict:
    return {
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "layers_per_block": 2,
        "norm_num_groups": 8,
        "block_out_channels": [16, 16, 32, 32],
        "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
        "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
        "cross_attention_dim": cross,
        "attention_head_dim": 4,
    } | more


VAE = {
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "block_out_channels": [8, 8, 16, 16],
    "layers_per_block": 2,
    "norm_num_groups": 4,
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "scaling_factor": 0.18215,
    "sample_size": 64,
}
SCHEDULER = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
CONFIGS = {
    "sd1": {"unet": _unet(32), "text_encoder": _text(32, 3, "quick_gelu", 731)},
    "sd2": {"unet": _unet(40, use_linear_projection=True), "text_encoder": _text(40, 3, "gelu", 0)},
    "sdxl": {
        "unet": _unet(
            72,
            use_linear_projection=True,
            block_out_channels=[16, 16, 32],
            down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
            up_block_types=["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
            transformer_layers_per_block=[1, 2, 3],
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + 40,
        ),
        "text_encoder": _text(32, 3, "quick_gelu", 731),
        "text_encoder_2": _text(40, 4, "gelu", 0),
    },
}
for each in CONFIGS.values():
    each |= {"vae": VAE, "scheduler": SCHEDULER}


def tiny_family(name: str, folder: Path):
    """The family with the tiny architecture."""
    file = folder / f"{name}.json"
    file.write_text(json.dumps(CONFIGS[name]), encoding="utf-8")
    return replace(FAMILIES[name], architecture=file)


def tiny_pipeline(name: str):
    """diffusers' own pipeline of random weights."""
    family, configs = FAMILIES[name], CONFIGS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(len(name))
        unet, vae = UNet2DConditionModel.from_config(configs["unet"]), AutoencoderKL.from_config(configs["vae"])
        kinds = [CLIPTextModelWithProjection if part.pooled else CLIPTextModel for part in family.text]
        encoders = [kind(CLIPTextConfig(**configs[part.folder])) for kind, part in zip(kinds, family.text, strict=True)]
        for parameter in (p for model in (unet, vae, *encoders) for p in model.parameters()):
            if parameter.ndim == 1:
                torch.nn.init.normal_(parameter, 0.5, 0.2)  # norms and biases too, or swapped ones would go unseen
    tokenizers = load_tokenizers(family, VOCABULARY, WORDS)
    parts = {"unet": unet.eval(), "vae": vae.eval(), "scheduler": DDIMScheduler(**SCHEDULER)}
    for part, encoder, tokenizer in zip(family.text, encoders, tokenizers, strict=True):
        parts |= {part.folder: encoder.eval(), part.tokenizer: tokenizer}
    if name == "sdxl":
        return StableDiffusionXLPipeline(**parts)
    return StableDiffusionPipeline(
        **parts, safety_checker=None, feature_extractor=None, image_encoder=None, requires_safety_checker=False
    )


def single_tensors(name: str, pipeline, dtype=torch.float32) -> dict:
    encoders = tuple(getattr(pipeline, part.folder) for part in FAMILIES[name].text)
    return ldm_tensors(FAMILIES[name], pipeline.unet, pipeline.vae, encoders, dtype)


def write_single(file: Path, tensors: dict, metadata: dict | None = None) -> Path:
    save_file(tensors, file, metadata)
    return file
