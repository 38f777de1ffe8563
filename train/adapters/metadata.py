"""What an adapter file says about itself, in the keys A1111, Forge and ComfyUI read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from torch import Tensor

from train.adapters.files.peft_alphas import PEFT
from train.adapters.files.writer import writing

SPEC = "1.0.1"
HASHES = ("sshs_model_hash", "sshs_legacy_hash", "modelspec.hash_sha256")
"""Keys that hold hashes of a file's weights."""
NAMED = ("ss_sd_model_name", "ss_vae_name")
"""Keys that name models, which may have been given by a path."""
SINGLE = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")


@dataclass(frozen=True, slots=True)
class FamilyNames:
    """How readers know a family of base models: kohya's version name, and the model spec's architecture and layout."""

    version: str
    architecture: str
    implementation: str
    resolution: int


DIFFUSERS, STABILITY = "diffusers", "https://github.com/Stability-AI/generative-models"
FAMILIES = {
    ("sd1", False): FamilyNames("sd_v1", "stable-diffusion-v1", DIFFUSERS, 512),
    ("sd1", True): FamilyNames("sd_v1_v", "stable-diffusion-v1", DIFFUSERS, 512),
    ("sd2", False): FamilyNames("sd_v2", "stable-diffusion-v2-512", DIFFUSERS, 512),
    ("sd2", True): FamilyNames("sd_v2_v", "stable-diffusion-v2-768-v", DIFFUSERS, 768),
    ("sdxl", False): FamilyNames("sdxl_base_v1-0", "stable-diffusion-xl-v1-base", STABILITY, 1024),
    ("sdxl", True): FamilyNames("sdxl_base_v1-0", "stable-diffusion-xl-v1-base", STABILITY, 1024),
}


def model_facts(family: str, v_prediction: bool) -> dict[str, Any]:
    """What A1111 sorts files by: without these it takes a file for SD 1.x, and hides one of another version."""
    return {"ss_base_model_version": FAMILIES[family, v_prediction].version, "ss_v2": family == "sd2"}


def published_name(name: str) -> str:
    """A model's name as it may stand in a file that is shared: a hub repository as it is, of a path the last part alone."""
    repository = re.fullmatch(r"[\w-][\w.-]*/[\w.-]+(@[\w.-]+)?", name) and Path(name).suffix.lower() not in SINGLE
    if repository and not Path(name).exists():
        return name
    parts = [part for part in re.split(r"[/\\]", name) if part not in ("", ".", "..", "~")]
    return parts[-1] if parts else ""


def without_paths(metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata in which no model is named by a folder of the machine that wrote them."""
    return {key: published_name(value) if key in NAMED else value for key, value in metadata.items()}


def renewed(metadata: Mapping[str, str], name: str, family: str, changes: Mapping[str, Any]) -> dict[str, str]:
    """Metadata of a file made from another: what it says stays, with its new name; hashes of the old weights go.

    A version of the base model that is missing is written for a `family` that is known.
    """
    gone = (*HASHES, "format", PEFT)
    kept = {key: value for key, value in without_paths(metadata).items() if key not in gone}
    v_prediction = metadata.get("modelspec.prediction_type") == "v"
    model = model_facts(family, v_prediction) if family and "ss_base_model_version" not in metadata else {}
    facts = {
        "ss_output_name": name,
        "modelspec.title": name,
        "modelspec.sai_model_spec": SPEC,
        "prep_version": prep_version(),
    }
    return kept | as_texts({**model, **facts, **changes})


def as_texts(facts: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False)
        if isinstance(value, dict | list)
        else str(value)
        for key, value in facts.items()
    }


def prep_version() -> str:
    try:
        return version("lora-prep")
    except PackageNotFoundError:
        return "not installed"


def write_adapter(file: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write the file in one step, with the hashes of its weights that A1111 knows files by.

    Raises:
        PrepError: the disk has no room for it.
    """
    with writing(file, needed=sum(tensor.nbytes for tensor in tensors.values())) as out:
        for key, tensor in tensors.items():
            out.add(key, tensor)
        out.metadata |= metadata
