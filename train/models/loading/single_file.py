"""A base model from one file of the LDM kind, with the architecture that the package ships: no network, one reading."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from train.models.diffusers_parts import DDIMScheduler
from train.models.families.family import Family
from train.models.families.key_map import VAE
from train.models.families.registry import FAMILIES
from train.models.loading.detect import declared, family_of, one_prediction
from train.models.loading.loaded import Loaded
from train.models.loading.parts import (
    check_whole,
    empty_text,
    empty_unet,
    empty_vae,
    fill,
    text_finder,
    unet_finder,
    vae_finder,
)
from train.models.loading.tokenizers import load_tokenizers
from train.models.loading.vocabulary import vocabulary_folder
from train.models.loading.weights import open_weights
from train.models.storage import WHOLE, Keeping


def load_file(
    file: Path,
    tokenizer: Path | None,
    with_vae: bool,
    asked: bool,
    keeping: Keeping = WHOLE,
    families: Iterable[Family] | None = None,
) -> Loaded:
    """Load a single file on the CPU: each part in the numbers that it is kept in.

    Args:
        with_vae: take the VAE from the file, if it holds one.
        asked: the prediction is given by the person, so that what the file says of it need not agree in itself.

    Raises:
        PrepError: the file is none that can be trained, does not fit its family, or there is no tokenizer for it.
    """
    weights = open_weights(file)
    family = family_of(file, weights.shapes, families or FAMILIES.values())
    declared_values = declared(file, weights.shapes, weights.metadata)
    prediction = one_prediction(file, declared_values, asked)
    configs = family.configs()
    folder = vocabulary_folder(file, tokenizer)
    tokenizers = load_tokenizers(family, folder, int(configs["text_encoder"]["vocab_size"]))
    unet, find = empty_unet(configs["unet"]), unet_finder(configs["unet"])
    check_whole(weights, unet, find, family)
    fill(unet, weights, find, f"{family.title}'s UNet", keeping.unet)
    encoders = []
    for part in family.text:
        encoders.append(empty_text(configs[part.folder], part.pooled))
        fill(encoders[-1], weights, text_finder(part), f"{family.title}'s {part.folder}", keeping.text)
    vae = None
    if with_vae and any(name.startswith(VAE) for name in weights.shapes):
        vae = empty_vae(configs["vae"])
        fill(vae, weights, vae_finder(configs["vae"]), f"{family.title}'s VAE", keeping.vae)
    scheduler = DDIMScheduler(**configs["scheduler"], rescale_betas_zero_snr=declared_values.zero_terminal)
    return Loaded(family, tokenizers, tuple(encoders), vae, unet, scheduler, prediction)
