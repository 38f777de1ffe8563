"""What a training run is asked to do: the options of all its components, composed. Plain values, no torch.

`make_recipe`, `recipe_of` and `recipe_values` are the ways between a recipe and one flat list of settings, as flags,
prep.toml, presets and run.json have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from pipeline.config.declared import declared
from pipeline.config.other_names import OtherNames
from pipeline.config.parts import composed, parts_of
from pipeline.config.rules import names_with
from pipeline.config.settings import suggest
from pipeline.config.values import convert
from pipeline.core.errors import PrepError
from pipeline.core.flat import flat
from train.adapters.config import AdapterConfig
from train.adapters.option_rules import adapter_config
from train.adapters.options import AdapterOptions
from train.adapters.registry import ALGORITHMS
from train.data.options import AugmentationOptions, BatchOptions, CaptionOptions, DatasetOptions
from train.evaluation.options import SampleOptions, ValidationOptions
from train.models.options import ModelOptions, PrecisionOptions, TextOptions
from train.optimization.options import NoiseOptions, ObjectiveOptions, OptimizerOptions, ScheduleOptions
from train.options.conflicts import problems
from train.options.kohya_names import KOHYA
from train.run.options import RunOptions, SavingOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Options of `prep train`, in the order in which they are shown.

    Raises:
        PrepError: values out of range, or that do nothing or not what is meant beside others; all of them at once.
    """

    model: ModelOptions = field(default_factory=ModelOptions)
    run: RunOptions = field(default_factory=RunOptions)
    adapter: AdapterOptions = field(default_factory=AdapterOptions)
    optimizer: OptimizerOptions = field(default_factory=OptimizerOptions)
    schedule: ScheduleOptions = field(default_factory=ScheduleOptions)
    batches: BatchOptions = field(default_factory=BatchOptions)
    objective: ObjectiveOptions = field(default_factory=ObjectiveOptions)
    noise: NoiseOptions = field(default_factory=NoiseOptions)
    captions: CaptionOptions = field(default_factory=CaptionOptions)
    text: TextOptions = field(default_factory=TextOptions)
    augmentation: AugmentationOptions = field(default_factory=AugmentationOptions)
    precision: PrecisionOptions = field(default_factory=PrecisionOptions)
    validation: ValidationOptions = field(default_factory=ValidationOptions)
    samples: SampleOptions = field(default_factory=SampleOptions)
    saving: SavingOptions = field(default_factory=SavingOptions)
    translated: tuple[str, ...] = field(default=(), compare=False)
    """What became of settings that were given by kohya's names, for the plan to tell."""
    other_names: ClassVar[OtherNames] = KOHYA
    alternatives: ClassVar[tuple[tuple[str, str], ...]] = (("steps", "epochs"),)
    """Pairs that say one thing in two ways; the first goes before the second where both are known."""

    def __post_init__(self) -> None:
        found = list(problems(self))
        if found:
            raise PrepError(
                "\n".join(f"train: {message}" for message, _ in found), "\n".join(hint for _, hint in found)
            )

    @staticmethod
    def layers(values: Mapping[str, Any]) -> tuple[tuple[str, dict[str, Any]], tuple[str, dict[str, Any]]]:
        """Settings that lie below prep.toml and above it: the preset's and the rank suggested, and those of the run that is
        done again."""
        below = above = ("", dict[str, Any]())
        if values.get("preset") is not None or values.get("suggest") is not None:
            from train.options.presets import chosen_layer

            below = chosen_layer(values)
        if values.get("replay"):
            from train.run.run_record import settings_again

            above = ("replay", typed(settings_again(Path(values["replay"]))))
        return below, above

    @property
    def dataset(self) -> DatasetOptions:
        return DatasetOptions(
            augmentation=self.augmentation,
            captions=self.captions,
            seed=self.run.seed,
            regularized=self.objective.prior_loss_weight > 0,
            prior=self.objective.prior,
            pair=self.objective.reg_pair,
            share=self.objective.reg_share,
            only=self.batches.only,
            without=self.batches.without,
        )

    @property
    def lrs(self) -> tuple[float, float]:
        """Learning rates of the UNet and of the text encoder: given, or those that suit."""
        return self.optimizer.lrs(ALGORITHMS[self.adapter.algorithm].learning_rate)

    @property
    def trains_text_encoder(self) -> bool:
        """Whether any text encoder is trained: it is asked for, and not all of their rates are 0."""
        return self.adapter.train_text_encoder and bool(self.lrs[1] or self.optimizer.text_encoder_2_lr)

    @property
    def left_out(self) -> frozenset[str]:
        """Parts that are not adapted as their rate is 0, by the names that files have for them."""
        (unet, text), second = self.lrs, self.optimizer.text_encoder_2_lr
        rates = {"unet": unet, "te": text, "te1": text, "te2": text if second is None else second}
        return frozenset(part for part, rate in rates.items() if rate == 0)

    @property
    def scheduler(self) -> str:
        """The scheduler given, or the one that suits the optimizer."""
        return self.schedule.chosen(self.optimizer.optimizer)


def trained_config(recipe: Recipe) -> AdapterConfig:
    """What kind of adapter the recipe trains, without the parts whose rate is 0."""
    return replace(adapter_config(recipe.adapter), left_out=recipe.left_out)


COMPONENTS = tuple(parts_of(Recipe).values())
BESIDE = names_with(lambda effect: not effect.learned, *COMPONENTS)
"""Options that change nothing of what is learned, so that a run can be resumed with others."""
PERSONAL = names_with(lambda effect: effect.personal, *COMPONENTS)
"""Options of one person's run, on which a preset has no say."""


def make_recipe(**values: Any) -> Recipe:
    """A recipe from settings of their own types, each by its name; defaults for the others."""
    made = composed(Recipe, values)
    assert isinstance(made, Recipe)
    return made


def with_values(recipe: Recipe, **values: Any) -> Recipe:
    """The recipe with some settings changed."""
    return make_recipe(**{**flat(recipe), **values})


def recipe_values(recipe: Recipe) -> dict[str, Any]:
    """The recipe's settings as JSON can hold them; `recipe_of` takes them back."""
    return {key: str(value) if isinstance(value, Path) else value for key, value in flat(recipe).items()}


def recipe_of(values: Mapping[str, Any]) -> Recipe:
    """A recipe from values as JSON or TOML hold them.

    Raises:
        PrepError: a value is unknown, of a wrong type or out of range; all that are unknown or of a wrong type at once.
    """
    return make_recipe(**typed(values))


def typed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a recipe with values as JSON or TOML hold them, each as the type that it is declared with.

    Raises:
        PrepError: some are unknown or of a wrong type; all of them are named.
    """
    known = {setting.name: setting for setting in declared(Recipe)}
    problems, taken = [], dict[str, Any]()
    for key, value in values.items():
        if key not in known:
            problems.append(f"{key} is no option of prep train{suggest(key, known)}")
        elif value is None and known[key].optional:
            taken[key] = None
        else:
            try:
                taken[key] = convert(value, known[key].kind)
            except ValueError as error:
                problems.append(f"{key} is {value!r}: {error}")
    if problems:
        raise PrepError("\n".join(problems), "it may be of another version of prep")
    return taken
