"""What a single file is, inferred from its names and shapes, its metadata, and the LDM yaml beside it; no torch here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.errors import PrepError
from train.models.families.family import Family
from train.models.families.key_map import UNET, VAE
from train.models.families.registry import FAMILIES

Shapes = Mapping[str, tuple[int, ...]]
LARGEST_YAML = 2**20
OTHERS = (
    ("conditioner.embedders.0.model.", "SDXL's refiner"),
    ("model.diffusion_model.joint_blocks.", "Stable Diffusion 3"),
    ("joint_blocks.", "Stable Diffusion 3"),
    ("model.diffusion_model.double_blocks.", "FLUX"),
    ("double_blocks.", "FLUX"),
    ("control_model.", "a ControlNet"),
    ("emb_params", "a textual inversion embedding"),
    ("string_to_param", "a textual inversion embedding"),
    ("down_blocks.", "a UNet in diffusers format, which is one part of a model folder"),
    ("encoder.down", "a VAE alone"),
    ("text_model.", "a text encoder alone"),
)
"""What other files begin their weights' names with."""
ADAPTER = re.compile(
    r"^(lora_|lycoris_|base_model\.model\.)|[._]lora[._](A|B|down|up)\b|\.lora_(linear_layer|magnitude_vector)\b"
    r"|\.(hada_|lokr_)|\.oft_blocks$|\.dora_scale$"
)
"""Names of adapters' weights, whoever wrote them."""
EMA = "model_ema."
WORDS = {"epsilon": "epsilon", "eps": "epsilon", "v": "v_prediction", "v_prediction": "v_prediction"}
WORDS |= {"v-prediction": "v_prediction", "vpred": "v_prediction", "v_pred": "v_prediction"}


@dataclass(frozen=True, slots=True)
class Declared:
    """What a file says that its UNet predicts, and where: each a prediction and the words for its source."""

    said: tuple[tuple[str, str], ...]
    zero_terminal: bool = False


def family_of(file: Path, shapes: Shapes, families: Iterable[Family] = FAMILIES.values()) -> Family:
    """The family of a single file.

    Raises:
        PrepError: it is something else, named where it is known, or a model with another input than SD's.
    """
    refuse_no_model(file, shapes)
    found = [family for family in families if all(_has(shapes, part.prefix) for part in family.text)]
    if len(found) != 1:
        refiner = _has(shapes, OTHERS[0][0])
        raise PrepError(
            f"{file} cannot be trained: {'it is SDXL’s refiner' if refiner else 'a text encoder is missing from it'}",
            "give the base model's checkpoint" if refiner else "give a whole checkpoint",
        )
    channels = shapes.get(f"{UNET}input_blocks.0.0.weight", (0, 0))[1]
    if channels != 4:
        what = {9: "made for inpainting", 8: "made to edit images"}.get(channels, "of another kind")
        raise PrepError(
            f"{file} is {what}: its UNet takes {channels} channels, not 4", "give the model it was made from"
        )
    if any(name in shapes for name in ("edm_mean", "edm_vpred.sigma_max")):
        raise PrepError(
            f"{file} is an EDM model, which is trained otherwise", "give a model of epsilon or v-prediction"
        )
    return found[0]


def refuse_no_model(file: Path, shapes: Shapes) -> None:
    """See that a file holds a UNet of Stable Diffusion.

    Raises:
        PrepError: it holds something else, named where it is known.
    """
    if not _has(shapes, f"{UNET}input_blocks."):
        what = _other(shapes)
        hint = "give a whole checkpoint"
        if "adapter" in what:
            hint = "give the base model it is for; to go on training an adapter: network_weights = FILE"
        if "EMA" in what:
            hint = "give the checkpoint it was taken from, or have a tool that prunes checkpoints write them as the model's own"
        raise PrepError(f"{file} is no model of SD 1.x, 2.x or SDXL: {what}", hint)


def _has(shapes: Shapes, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in shapes)


def _other(shapes: Shapes) -> str:
    if any(ADAPTER.search(name) for name in shapes):
        return "it is an adapter, no base model"
    if _has(shapes, EMA):
        return "it holds only the averaged (EMA) weights of the UNet"
    for prefix, what in OTHERS:
        if _has(shapes, prefix):
            return f"it looks like {what}"
    if _has(shapes, VAE):
        return "it looks like a VAE alone"
    return f"its first weight is {next(iter(shapes), 'none')}"


def declared(file: Path, shapes: Shapes, metadata: Mapping[str, str]) -> Declared:
    """What a single file says of its prediction: NoobAI's marker tensors, Stability's modelspec metadata, and a yaml of
    the LDM kind of the same name beside it.

    Raises:
        PrepError: it names a prediction that is not known.
    """
    said = [("v_prediction", "its tensor v_pred")] if "v_pred" in shapes else []
    word = metadata.get("modelspec.prediction_type")
    if word:
        said.append((_known(file, word), "modelspec.prediction_type in its metadata"))
    architecture = metadata.get("modelspec.architecture", "")
    if architecture.startswith("stable-diffusion-v2-768-v"):
        said.append(("v_prediction", "modelspec.architecture in its metadata"))
    elif architecture.startswith("stable-diffusion-v2-512"):
        said.append(("epsilon", "modelspec.architecture in its metadata"))
    yaml_file = file.with_suffix(".yaml")
    if yaml_file.is_file():
        said += [(prediction, f"{yaml_file.name} beside it") for prediction in _of_yaml(yaml_file)]
    return Declared(tuple(said), "ztsnr" in shapes)


def _known(file: Path, word: str) -> str:
    known = WORDS.get(word.strip().lower())
    if known is None:
        raise PrepError(
            f"{file} predicts {word!r}, which cannot be trained", "give prediction = epsilon or v_prediction"
        )
    return known


def _of_yaml(file: Path) -> list[str]:
    """`parameterization` of latent-diffusion (eps where it is left out), or the scaling of generative-models' denoiser."""
    import yaml

    try:
        if file.stat().st_size > LARGEST_YAML:
            raise ValueError(f"it is larger than {LARGEST_YAML} bytes")
        params = yaml.safe_load(file.read_text(encoding="utf-8"))["model"]["params"]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise PrepError(
            f"{file} is no yaml of a model: {str(error).splitlines()[0]}", "mend it, or move it away"
        ) from error
    return _of_params(file, params)


def _of_params(file: Path, params: Any) -> list[str]:
    if not isinstance(params, dict):
        raise PrepError(f"{file} is no yaml of a model: model.params is missing", "mend it, or move it away")
    if "denoiser_config" not in params:
        return [_known(file, str(params.get("parameterization", "eps")))]
    target: Any = params
    for key in ("denoiser_config", "params", "scaling_config"):
        target = target.get(key) if isinstance(target, dict) else None
    name = str(target.get("target", "")) if isinstance(target, dict) else ""
    return {"VScaling": ["v_prediction"], "EpsScaling": ["epsilon"]}.get(name.rpartition(".")[2], [])


def one_prediction(file: Path, declared_values: Declared, asked: bool = False) -> str | None:
    """The prediction that a file says, None where it says nothing, or both and one of them is `asked` for.

    Raises:
        PrepError: it says both.
    """
    kinds = {prediction for prediction, _ in declared_values.said}
    if len(kinds) > 1 and asked:
        return None
    if len(kinds) > 1:
        both = " and ".join(f"{prediction} ({source})" for prediction, source in declared_values.said)
        raise PrepError(f"{file} says both: {both}", "give prediction = epsilon or prediction = v_prediction")
    return kinds.pop() if kinds else None
