"""A grid before it is made: its cells, which of their images are there, and what the rest takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from pipeline.core.errors import PrepError
from pipeline.core.files import file_digest
from train.adapters.files.weights import Weights
from train.adapters.names.prompt_adapters import PromptAdapter, without_adapters
from train.grid.axes import Axis, combinations
from train.grid.cells import Attached, Cell, Reading
from train.grid.jobs import Job, image_file
from train.models.locate import find_folder, folder_digest
from train.models.options import ModelOptions, PrecisionOptions
from train.models.text.prompts import Prompt, Request
from train.plan.base_shapes import shapes_of
from train.plan.fit_generation import decide_generation, here
from train.plan.memory import largest

MULTIPLE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What is the same in all of a grid.

    `models` are base models by the name on the axis; `named` finds the file of an adapter that a prompt names; `size` is in
    pixels, (width, height), None for the base model's own.
    """

    models: Mapping[str, ModelOptions]
    named: Callable[[str], Path]
    size: tuple[int, int] | None
    precision: PrecisionOptions
    rescale: float = 0.0
    batch_size: int | None = None
    device: str = "auto"


@dataclass(frozen=True)
class Grid:
    """The axes, and the jobs that make its images, one for each base model."""

    axes: tuple[Axis, ...]
    jobs: tuple[Job, ...]

    @cached_property
    def keys(self) -> frozenset[str]:
        return frozenset(key for job in self.jobs for _, key in job.cells)

    def missing(self, folder: Path) -> list[Cell]:
        """One cell for each image that is not there."""
        first = {key: cell for job in self.jobs for cell, key in reversed(job.cells)}
        return [cell for key, cell in first.items() if not image_file(folder, key).is_file()]


def planned(axes: Sequence[Axis], common: Common) -> Grid:
    """Every cell with its key.

    Raises:
        PrepError: a base model or an adapter is not there, a prompt names one that is not found, or has no text.
    """
    digests: dict[Path, str] = {}
    facts: dict[Path, Mapping[str, str]] = {}

    def attached(file: Path, weights: Weights) -> Attached:
        if file not in digests:
            facts[file] = metadata_of(file)
            digests[file] = file_digest(file)
        return Attached(file, digests[file], weights)

    by_base: dict[str, list[Cell]] = {}
    for place in combinations(axes):
        chosen = {each.name: each.values[place[each.name]].value for each in axes}
        cell = _cell(place, chosen, common, attached, facts)
        by_base.setdefault(cell.base, []).append(cell)
    return Grid(tuple(axes), tuple(_job(common, base, cells) for base, cells in by_base.items()))


def _job(common: Common, base: str, cells: Sequence[Cell]) -> Job:
    """The cells of a base model, in the precision and so many at once as fit."""
    model = common.models[base]
    precision = (
        here(common.precision, common.device) if common.precision.mixed_precision == "auto" else common.precision
    )
    how = decide_generation(
        precision, model, common.device, largest(cell.request.size for cell in cells), common.batch_size
    )
    digest = folder_digest(find_folder(model.base, model.revision))
    digest = f"{digest} {model.vae or ''} {model.prediction}"
    return Job(model, how, tuple((cell, cell.key(digest, how.options.mixed_precision)) for cell in cells))


def _cell(
    place: Mapping[str, int],
    chosen: Mapping[str, Any],
    common: Common,
    attached: Callable[[Path, Weights], Attached],
    facts: Mapping[Path, Mapping[str, str]],
) -> Cell:
    prompt: Prompt = chosen["prompt"]
    written, tags = without_adapters(_replaced(prompt.text, *chosen["replace"]))
    if not written:
        raise PrepError(f"the prompt {prompt.text!r} has no text beside its adapters", "write what is to be seen")
    overall = Weights(chosen["strength"], chosen["unet"], chosen["text"], chosen["blocks"])
    asked = [attached(chosen["adapter"], overall)] if chosen["adapter"] is not None else []
    asked += [attached(common.named(tag.name), _weights(tag)) for tag in tags]
    zero_terminal = any(facts[each.file].get("ss_zero_terminal_snr", "").lower() == "true" for each in asked)
    size = common.size or default_size(common.models[chosen["base"]])
    request = Request(
        written,
        chosen["seed"] if prompt.seed is None else prompt.seed,
        _sides(prompt.width or size[0], prompt.height or size[1]),
        chosen["negative"] if prompt.negative is None else prompt.negative,
        prompt.steps or chosen["steps"],
        chosen["guidance"] if prompt.guidance is None else prompt.guidance,
        prompt.sampler or chosen["sampler"],
        weighted=True,
    )
    reading = Reading(chosen["clip_skip"], zero_terminal, common.rescale)
    return Cell(place, chosen["base"], tuple(each for each in asked if each.acts), request, reading)


def _weights(tag: PromptAdapter) -> Weights:
    return Weights(1.0, tag.unet, tag.text_encoder, tag.blocks)


def _replaced(text: str, old: str, new: str) -> str:
    """Raises:
    PrepError: the prompt does not hold what is searched for.
    """
    if old and old not in text:
        raise PrepError(f"the prompt {text!r} does not hold {old!r}", "begin --replace with words of every prompt")
    return text.replace(old, new) if old else text


def _sides(width: int, height: int) -> tuple[int, int]:
    return max(MULTIPLE, width - width % MULTIPLE), max(MULTIPLE, height - height % MULTIPLE)


def default_size(model: ModelOptions) -> tuple[int, int]:
    """The size that models of a family are made for.

    Raises:
        PrepError: the model cannot be read, so that its family is not known.
    """
    shapes, why = shapes_of(model)
    if shapes is None:
        raise PrepError(
            f"the size of the images is unknown: {why}", "give --size 512x512, or a base model that is there"
        )
    if shapes.factor != 8:
        return 64, 64
    side = {"sdxl": 1024, "sd2": 768}.get(shapes.family, 512)
    return side, side


def metadata_of(file: Path) -> Mapping[str, str]:
    """What an adapter file says of its training.

    Raises:
        PrepError: it is not there, or no safetensors file.
    """
    if not file.is_file():
        raise PrepError(f"there is no adapter at {file}", "check the path")
    try:
        with safe_open(file, framework="np") as opened:
            return dict(opened.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise PrepError(f"{file} is not a readable safetensors file: {error}", "give an adapter's file") from error


def clip_skip_of(files: Sequence[Path]) -> int:
    """The text encoder's layer that adapters were trained with, 1 where they do not say or do not agree."""
    said = {metadata_of(file).get("ss_clip_skip", "1") for file in files}
    one = said.pop() if len(said) == 1 else "1"
    return int(one) if one.isascii() and one.isdigit() and 1 <= int(one) <= 12 else 1
