"""Settings of published training notes by name, and ranks by how difficult a character is; they lie below prep.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.config.settings import suggest
from pipeline.core.errors import PrepError
from pipeline.core.flat import flat
from train.adapters.option_rules import LOW_RANK, TAKES
from train.adapters.registry import ALGORITHMS
from train.optimization.optimizers import KINDS
from train.options.recipe import PERSONAL, Recipe, recipe_of

FOLDER = Path(__file__).with_name("presets")
DEFAULTS = flat(Recipe())
STAGES = ("bucket", "curate", "regularize")
"""The stages before training of which presets speak."""


@dataclass(frozen=True, slots=True)
class Preset:
    """`values` are options of `prep train`, of their types; `source` is the public note they are from."""

    name: str
    description: str
    source: str
    values: Mapping[str, Any]
    stages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Stage before training → what the note sets of its options."""
    leaves: tuple[str, ...] = ()
    """What the note leaves to the person."""


@dataclass(frozen=True, slots=True)
class Difficulty:
    """What is to be learned, and the least and the highest rank that suits it."""

    subject: str
    min_rank: int
    most: int


DIFFICULTIES: Mapping[str, Difficulty] = {
    "A": Difficulty("simple, realistic female characters without unusual clothes or details", 4, 8),
    "B": Difficulty("female characters with unusual faces, hair, colours or clothes", 4, 16),
    "C": Difficulty("very elaborate details, wings, armour, tails", 8, 32),
    "D": Difficulty("humanoids, furry characters with human features, realistic humans", 32, 64),
    "E": Difficulty("more unusual ones, of chibi proportions but with two arms and legs", 64, 64),
    "F": Difficulty("animals, dragons, humanoid robots, ornate costumes or armour", 64, 128),
    "G": Difficulty("humanoid mechs, aliens, demons, humanoids with many limbs", 128, 128),
    "H": Difficulty("robots of other shapes, monsters, insects, realistic animals", 128, 192),
    "I": Difficulty("eldritch abominations", 192, 256),
}
"""The table of character difficulty in "Stable Diffusion LoRA training science and notes" (rentry), for SD 1.5."""


def preset_names() -> tuple[str, ...]:
    return tuple(sorted(file.stem for file in FOLDER.glob("*.toml")))


def load_preset(name: str) -> Preset:
    """Read a preset.

    Raises:
        PrepError: there is none of that name; or its file is not as it should be.
    """
    known = preset_names()
    if name not in known:
        near = suggest(name, known).partition(" known:")[0].rstrip(";")
        width = max(map(len, known))
        listed = "\n".join(f"  {each:{width}}  {load_preset(each).description}" for each in known)
        raise PrepError(f"train: there is no preset {name!r}{near}", f"give one of these:\n{listed}")
    return read_preset(FOLDER / f"{name}.toml")


def read_preset(file: Path) -> Preset:
    """A preset's file: [preset] with description, source and, where the note leaves something to the person, leaves; [train]
    with options of `prep train`; and sections of the stages before it, of which the note speaks too.

    Raises:
        PrepError: it is no TOML, or holds other keys, or options that cannot be.
    """
    hint = f"mend {file}, or install lora-prep again"
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
        about, values = document.pop("preset"), document.pop("train")
        description, source = about.pop("description"), about.pop("source")
        leaves = tuple(about.pop("leaves", ()))
        stages = {name: dict(document.pop(name)) for name in STAGES if name in document}
        rest = [*document, *about, *(key for key in values if key in PERSONAL)]
        if rest or not (isinstance(description, str) and isinstance(source, str)):
            raise ValueError(f"{rest[0]} has no place there" if rest else "description and source are texts")
        found = flat(recipe_of(values))
    except PrepError as error:
        raise PrepError(f"{file}: {error.message}", hint) from error
    except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise PrepError(f"{file} is no preset: {error!r}", hint) from error
    return Preset(file.stem, description, source, {key: found[key] for key in values}, stages, leaves)


def chosen_layer(given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The settings below prep.toml that the values given ask for with preset and suggest, and what they are called.

    Raises:
        PrepError: there is no such preset; or a rank is suggested for an algorithm that has none.
    """
    preset, category = given.get("preset"), given.get("suggest")
    values = _fitting(load_preset(preset).values, given) if preset is not None else dict[str, Any]()
    if category is not None and "rank" not in given:
        values |= _suggested(category, values, given)
    _cap_alphas(values, given)
    parts = ((f"preset {preset}", preset), (f"suggest {category}", category))
    return " and ".join(name for name, choice in parts if choice is not None), values


def _suggested(category: str, values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The rank, and half of it as alpha where no preset gives one: the notes advise at most half."""
    algorithm = _first("algorithm", given, values)
    if algorithm not in LOW_RANK:
        raise PrepError(
            f"train: suggest is {category!r}, which stands for a rank, but algorithm {algorithm} has none of the kind",
            "leave suggest out, or use algorithm = " + " or ".join(f'"{each}"' for each in LOW_RANK),
        )
    if category not in DIFFICULTIES:
        raise PrepError(f"train: suggest is {category!r}, which is no category", "give a letter from A to I")
    rank = DIFFICULTIES[category].most
    return {"rank": rank, "alpha": values.get("alpha", rank / 2)}


def _fitting(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A preset's values without those that belong to another choice than the one given."""
    gone = set(_left_out(values, given))
    return {key: value for key, value in values.items() if key not in gone}


def _left_out(values: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[str]:
    optimizer, own = _first("optimizer", given, values), _first("optimizer", values)
    if optimizer.removesuffix("8bit") != own.removesuffix("8bit"):
        yield from ("optimizer_args", "unet_lr", "text_encoder_lr", "scheduler", "num_cycles")
    if _first("scheduler", given, values) != values.get("scheduler"):
        yield "num_cycles"
    adaptive = KINDS[optimizer].adaptive
    if _first("algorithm", given, values) != _first("algorithm", values) and not adaptive:
        yield from ("unet_lr", "text_encoder_lr")
    if "algorithm" in given:
        yield from (option for option, algorithms in TAKES.items() if given["algorithm"] not in algorithms)
    if given.get("algorithm") in ALGORITHMS and not ALGORITHMS[given["algorithm"]].text_encoder:
        yield from ("train_text_encoder", "text_encoder_lr")
    if given.get("train_text_encoder") is False:
        yield "text_encoder_lr"
    if "epochs" in given:
        yield "steps"
    if given.get("gradient_accumulation_steps") == 1:
        yield "accumulation_window"
    if given.get("multires_iterations") == 0:
        yield "multires_discount"
    if given.get("noise_offset") or given.get("zero_terminal_snr"):
        yield from ("multires_iterations", "multires_discount")


def _cap_alphas(values: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Where a smaller rank takes a preset's place, its alpha is no larger than that rank."""
    for alpha, rank in (("alpha", "rank"), ("conv_alpha", "conv_rank")):
        if alpha in values:
            values[alpha] = min(values[alpha], float(_first(rank, given, values)))


def _first(option: str, *layers: Mapping[str, Any]) -> Any:
    """The option's value in the first layer that has it, else its default."""
    return next((layer[option] for layer in layers if option in layer), DEFAULTS[option])
