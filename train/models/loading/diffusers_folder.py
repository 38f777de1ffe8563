"""A base model from a folder in diffusers format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer
from transformers.utils.logging import disable_progress_bar

from pipeline.core.errors import PrepError
from train.models.diffusers_parts import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from train.models.families.family import Family, TextPart
from train.models.families.registry import family_of_config
from train.models.loading.loaded import Loaded
from train.models.loading.quantized import INTEGERS
from train.models.loading.safetensors_header import read_header
from train.models.loading.tokenizers import load_tokenizers
from train.models.loading.vocabulary import vocabulary_folder
from train.models.storage import FULL, WHOLE, Keeping, Numbers, keep_all, others_in_float32


def load_folder(name: str, folder: Path, tokenizer: Path | None, with_vae: bool, keeping: Keeping = WHOLE) -> Loaded:
    """Load a model folder on the CPU, from safetensors only: each part in the numbers that it is kept in.

    Raises:
        PrepError: it is no such folder, a part does not load, or it is no model that can be trained.
    """
    disable_progress_bar()
    refuse_adapter(folder)
    if not (folder / "model_index.json").is_file():
        raise PrepError(
            f"{folder} is no diffusers model: it has no model_index.json",
            "give the folder that holds model_index.json, or a single .safetensors file",
        )
    try:
        family = _family(folder)
        scheduler = DDIMScheduler.from_pretrained(folder, subfolder="scheduler")
        encoders = tuple(_part(_kind(part), folder, part.folder, keeping.text) for part in family.text)
        unet = _part(UNet2DConditionModel, folder, "unet", keeping.unet)
        vae = _part(AutoencoderKL, folder, "vae", keeping.vae) if with_vae else None
        if tokenizer is None:
            tokenizers = tuple(CLIPTokenizer.from_pretrained(folder, subfolder=part.tokenizer) for part in family.text)
        else:
            words = encoders[0].config.vocab_size
            tokenizers = load_tokenizers(family, vocabulary_folder(folder, tokenizer), words)
    except (OSError, ValueError, KeyError) as error:
        raise PrepError(
            f"base model {name} does not load from {folder}: {error}",
            "it must be Stable Diffusion 1.x, 2.x or SDXL in diffusers format with safetensors weights",
        ) from error
    return Loaded(family, tokenizers, encoders, vae, unet, scheduler, _prediction(folder, scheduler))


def refuse_adapter(folder: Path) -> None:
    """See that a folder is not that of an adapter, as diffusers and PEFT save one.

    Raises:
        PrepError: it is.
    """
    names = ("adapter_config.json", "adapter_model.safetensors", "pytorch_lora_weights.safetensors")
    found = next((name for name in names if (folder / name).is_file()), None)
    if found is not None and not (folder / "model_index.json").is_file():
        raise PrepError(
            f"{folder} is an adapter, no base model: it holds {found}",
            "give the base model it is for; to go on training an adapter: network_weights = FILE",
        )


def _family(folder: Path) -> Family:
    config = json.loads((folder / "unet" / "config.json").read_text(encoding="utf-8"))
    if config.get("in_channels", 4) != 4:
        raise ValueError(f"its UNet takes {config['in_channels']} channels, not 4, as models for inpainting do")
    return family_of_config(config)


def _kind(part: TextPart) -> type:
    kind: type = CLIPTextModelWithProjection if part.pooled else CLIPTextModel
    return kind


def _part(kind: Any, folder: Path, part: str, numbers: Numbers = FULL) -> Any:
    """A part in the numbers that it is kept in; of one that is there in half precision only, that one. It is read as its
    file has it, so that nothing is ever larger than the file."""
    files = [file.name for file in (folder / part).glob("*.safetensors")]
    half = bool(files) and all(".fp16" in name for name in files)
    model = kind.from_pretrained(
        folder,
        subfolder=part,
        use_safetensors=True,
        torch_dtype=_precision(folder / part, half),
        variant="fp16" if half else None,
    )
    model.requires_grad_(False)
    keep_all(model, numbers)
    others_in_float32(model)
    return model


def _precision(folder: Path, half: bool) -> torch.dtype:
    """What the files of a part hold its weights in: 16 bits where all of them are in these, else float32."""
    files = [file for file in folder.glob("*.safetensors") if half or ".fp16" not in file.name]
    found = {dtype for file in files for dtype in read_header(file).dtypes.values() if dtype not in INTEGERS}
    return {frozenset({"F16"}): torch.float16, frozenset({"BF16"}): torch.bfloat16}.get(frozenset(found), torch.float32)


def _prediction(folder: Path, scheduler: DDIMScheduler) -> str:
    """What the scheduler's config says; diffusers means epsilon where it says nothing."""
    kind = str(scheduler.config.prediction_type)
    if kind not in ("epsilon", "v_prediction"):
        raise PrepError(
            f"{folder} predicts {kind!r}, which cannot be trained", "give a model of epsilon or v_prediction"
        )
    return kind
