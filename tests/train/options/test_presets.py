"""Presets are what the warnings say, lie below prep.toml, and train; a category suggests a rank."""

import importlib.util
import json
from contextlib import nullcontext
from itertools import product
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pipeline.config.declared import help_texts
from pipeline.config.settings import Settings, load_settings, resolved
from pipeline.core.errors import PrepError
from pipeline.core.flat import flat
from train.adapters.option_rules import LOW_RANK
from train.models.load import load_base
from train.optimization.optimizers import KINDS, load_class, read_arguments
from train.options.presets import DIFFICULTIES, chosen_layer, load_preset, preset_names, read_preset
from train.options.recipe import Recipe, make_recipe, recipe_of, recipe_values
from train.plan.summary import preset_info
from train.session import train_adapter

NAMES = preset_names()
EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.toml"))
SMALL = {
    "base": "miniature",
    "device": "cpu",
    "mixed_precision": "no",
    "steps": 2,
    "batch_size": 2,
    "validation": "none",
}
"""What a preset is trained with here, whatever it says itself."""


def with_flags(**flags):
    return resolved("train", Recipe, Settings(), flags)


def kin_of(optimizer):
    """The 32-bit kin of an 8-bit optimizer where bitsandbytes is not installed, as a flag."""
    kind = KINDS[optimizer]
    absent = kind.package == "bitsandbytes" and importlib.util.find_spec("bitsandbytes") is None
    return {"optimizer": kind.name.removesuffix("8bit")} if absent else {}


@pytest.fixture(scope="module")
def base():
    return load_base("miniature", None, "cpu")


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_is_a_recipe_of_its_own_values(name):
    preset = load_preset(name)
    found = with_flags(preset=name)
    assert {key: flat(found.options)[key] for key in preset.values} == preset.values
    assert {found.origins[key] for key in preset.values} == {f"preset {name}"}
    assert set(found.origins.values()) == {f"preset {name}", "default", "flag"}
    assert recipe_of(recipe_values(found.options)) == found.options
    assert preset.description and preset.source.endswith(")") and not preset.values.keys() & {"base", "name", "device"}


FIGURES = (
    "rank",
    "alpha",
    "conv_rank",
    "conv_alpha",
    "unet_lr",
    "text_encoder_lr",
    "epochs",
    "steps",
    "save_every_epochs",
)


def apart_by_figures(names):
    """The presets, those marked slow of which another one differs in ranks, rates and lengths alone: what is trained is alike."""
    seen, found = set(), []
    for name in names:
        values = load_preset(name).values
        kind = json.dumps(
            {
                key: bool(value) if isinstance(value, float) else value
                for key, value in values.items()
                if key not in FIGURES
            }
        )
        found.append(pytest.param(name, marks=[pytest.mark.slow] if kind in seen else []))
        seen.add(kind)
    return found


@pytest.mark.parametrize("name", apart_by_figures(NAMES))
def test_every_preset_trains_and_its_run_says_so(name, prepared, base):
    kin = kin_of(load_preset(name).values.get("optimizer", "AdamW"))
    found = with_flags(preset=name, name="trial", **SMALL, **kin)
    done = train_adapter(prepared, found.options, lambda *_: None, base, found.origins)
    assert done.steps == 2
    tensors = load_file(done.file)
    assert tensors and all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values())
    settings = json.loads((done.file.parent / "run.json").read_text(encoding="utf-8"))["settings"]
    for key, value in load_preset(name).values.items():
        if key not in SMALL and key not in kin:
            assert settings[key] == {"value": value, "origin": f"preset {name}"}
    assert settings["steps"] == {"value": 2, "origin": "flag"}


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_the_training_of_every_example_is_run(file, prepared, base):
    settings = load_settings(file)
    optimizer = resolved("train", Recipe, settings, {}).options.optimizer.optimizer
    small = {**SMALL, "revision": None, "validation": settings.stages["train"].get("validation", "none")}
    found = resolved("train", Recipe, settings, small | kin_of(optimizer))
    done = train_adapter(prepared, found.options, lambda *_: None, base, found.origins)
    assert done.steps == 2 and done.file.name == f"{found.options.run.name}.safetensors"


@pytest.mark.parametrize("name", NAMES)
def test_every_presets_optimizer_takes_its_arguments(name):
    values = load_preset(name).values
    optimizer = values.get("optimizer", "AdamW")
    if KINDS[optimizer].package == "bitsandbytes" and importlib.util.find_spec("bitsandbytes") is None:
        assert not values.get("optimizer_args"), "unchecked arguments"
        with pytest.raises(PrepError, match="needs bitsandbytes"):
            load_class(optimizer)
    else:
        assert read_arguments(optimizer, values.get("optimizer_args", {}))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("alea-loha", ("loha", 8, 1.0, 4, 1.0, "AdamW8bit", "constant", (2e-4, 2e-4), "none")),
        ("alea-loha-32-half", ("loha", 32, 16.0, 16, 8.0, "AdamW8bit", "constant", (2e-4, 2e-4), "none")),
        ("alea-locon", ("locon", 16, 1.0, 8, 1.0, "AdamW8bit", "constant", (2e-4, 2e-4), "none")),
        ("roukin8-loha", ("loha", 8, 1.0, 4, 1.0, "AdamW", "constant", (2e-4, 2e-4), "none")),
        ("roukin8-locon", ("locon", 16, 1.0, 8, 1.0, "AdamW", "constant", (2e-4, 2e-4), "none")),
        ("comparison-loha", ("loha", 16, 8.0, 16, 8.0, "Prodigy", "constant", (1.0, 1.0), "none")),
        ("comparison-glora", ("glora", 16, 16.0, 16, 16.0, "Prodigy", "constant", (1.0, 1.0), "none")),
        ("tutorial-locon", ("locon", 8, 4.0, 4, 4.0, "AdamW", "cosine", (1e-4, 1e-4), "none")),
        ("easy-dadaptadam", ("lora", 64, 1.0, 8, 4.0, "DAdaptAdam", "constant", (1.0, 1.0), "min-snr")),
        ("easy-prodigy", ("lora", 64, 1.0, 8, 4.0, "Prodigy", "constant", (1.0, 1.0), "min-snr")),
        ("notes-character", ("lora", 64, 64.0, 8, 4.0, "AdamW8bit", "cosine_with_restarts", (1e-4, 5e-5), "min-snr")),
        ("notes-style", ("lora", 96, 48.0, 8, 4.0, "AdamW8bit", "cosine_with_restarts", (1e-4, 4e-5), "min-snr")),
    ],
)
def test_the_settings_are_those_of_the_notes(name, expected):
    made = with_flags(preset=name).options
    shape = (
        made.adapter.algorithm,
        made.adapter.rank,
        made.adapter.alpha,
        made.adapter.conv_rank,
        made.adapter.conv_alpha,
    )
    assert (*shape, made.optimizer.optimizer, made.scheduler, made.lrs, made.objective.weighting) == expected
    assert made.adapter.train_text_encoder


def test_the_full_checkpoint_goes_slowly_and_drops_captions():
    made = with_flags(preset="roukin8-checkpoint").options
    assert (made.adapter.algorithm, made.adapter.train_norm, made.lrs, made.scheduler) == (
        "full",
        True,
        (2.5e-6, 2.5e-6),
        "cosine",
    )
    assert (made.optimizer.optimizer, made.batches.batch_size, made.captions.caption_dropout) == ("AdamW8bit", 8, 0.08)


def test_the_comparison_differs_in_what_it_compares_and_shares_the_rest():
    rows = {name: load_preset(name).values for name in NAMES if name.startswith("comparison-")}
    shared = ("optimizer", "optimizer_args", "unet_lr", "scheduler", "batch_size", "weighting")
    assert len({json.dumps([row[key] for key in shared]) for row in rows.values()}) == 1
    arguments = read_arguments("Prodigy", rows["comparison-lora"]["optimizer_args"])
    assert arguments == {
        "decouple": True, "weight_decay": 0.01, "d_coef": 0.5, "use_bias_correction": True, "betas": (0.9, 0.99),
        "slice_p": 10, "safeguard_warmup": True, "growth_rate": 1.01,
    }  # fmt: skip
    lora, text = rows["comparison-lora"], rows["comparison-lora-text"]
    assert (lora["rank"], lora["alpha"]) == (16, 16.0) and {**lora, "train_text_encoder": True} == text
    assert [rows[f"comparison-lokr-{factor}"]["factor"] for factor in (0, 2, 4)] == [1, 2, 4]


def test_the_tutorial_adds_gradients_up_over_all_buckets():
    made = with_flags(preset="tutorial-locon").options
    assert (made.batches.gradient_accumulation_steps, made.noise.multires_iterations, made.noise.multires_discount) == (
        0,
        10,
        0.1,
    )
    assert (
        made.batches.batch_size,
        made.batches.epochs,
        made.precision.mixed_precision,
        made.saving.save_precision,
    ) == (3, 4, "fp16", "fp16")


def test_prep_toml_and_flags_win_over_a_preset(tmp_path):
    file = tmp_path / "prep.toml"
    file.write_text('[train]\npreset = "alea-loha"\nrank = 12\nclip_skip = 2\n', encoding="utf-8")
    found = resolved("train", Recipe, load_settings(file), {"clip_skip": 3})
    assert (found.options.adapter.algorithm, found.options.adapter.rank, found.options.text.clip_skip) == (
        "loha",
        12,
        3,
    )
    origins = [found.origins[key] for key in ("algorithm", "rank", "clip_skip", "preset", "epochs")]
    assert origins == ["preset alea-loha", "prep.toml", "flag", "prep.toml", "default"]


def test_a_preset_that_is_not_there_is_answered_with_those_that_are(tmp_path):
    with pytest.raises(PrepError, match="no preset 'easy-prodgy'; did you mean easy-prodigy") as caught:
        with_flags(preset="easy-prodgy")
    for name in NAMES:
        assert f"  {name} " in caught.value.hint and load_preset(name).description in caught.value.hint
    with pytest.raises(PrepError, match="no preset"):
        with_flags(preset="../recipe")
    file = tmp_path / "prep.toml"
    file.write_text('[train]\npreset = "easy"\n', encoding="utf-8")
    with pytest.raises(PrepError, match="no preset 'easy'"):
        load_settings(file)


def test_the_help_names_every_preset_and_every_rank():
    words = help_texts(Recipe)["preset"].replace(",", " ").replace(";", " ").replace(".", " ").split()
    assert {word for word in words if "-" in word} - {"prep.toml"} == set(NAMES)
    text = help_texts(Recipe)["suggest"]
    assert all(f"{each.most} for" in text for each in DIFFICULTIES.values())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[preset", "is no preset"),
        ("[train]\nrank = 4\n", "'preset'"),
        ('[preset]\ndescription = "a"\nsource = "b"\n', "'train'"),
        ('[preset]\ndescription = "a"\nsource = "b"\nauthor = "c"\n[train]\n', "author has no place"),
        ('[preset]\ndescription = "a"\nsource = "b"\n[train]\nbase = "x"\n', "base has no place"),
        ('[preset]\ndescription = "a"\nsource = 4\n[train]\n', "are texts"),
        ('[preset]\ndescription = "a"\nsource = "b"\n[train]\nrnak = 4\n', "rnak is no option .* did you mean rank"),
        ('[preset]\ndescription = "a"\nsource = "b"\n[train]\nrank = "4"\n', "expected a whole number"),
        ('[preset]\ndescription = "a"\nsource = "b"\n[train]\nfactor = 4\n', "algorithm lora does not use it"),
        ("preset = 1\n[train]\n", "is no preset"),
    ],
)
def test_a_presets_file_is_read_strictly(tmp_path, text, problem):
    file = tmp_path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(PrepError, match=problem) as caught:
        read_preset(file)
    assert str(file) in caught.value.message


# --- what belongs to another choice


def test_rates_and_arguments_of_an_optimizer_go_with_it():
    made = with_flags(preset="easy-prodigy", optimizer="AdamW").options
    assert (made.optimizer.optimizer_args, made.lrs, made.scheduler) == ({}, (5e-4, 1e-4), "cosine")
    assert (made.adapter.rank, made.adapter.alpha, made.text.max_tokens) == (64, 1.0, 225)


def test_the_32_bit_kin_of_an_optimizer_keeps_its_rates():
    made = with_flags(preset="alea-loha", optimizer="AdamW").options
    assert (made.lrs, made.scheduler) == ((2e-4, 2e-4), "constant")


def test_epochs_that_are_given_take_the_place_of_a_presets_steps():
    assert with_flags(preset="easy-prodigy").options.batches.steps == 1000
    given = with_flags(preset="easy-prodigy", epochs=3)
    assert (given.options.batches.epochs, given.options.batches.steps, given.origins["steps"]) == (3, None, "default")


def test_an_alpha_is_never_above_a_rank_that_is_given():
    made = with_flags(preset="notes-character", rank=16).options
    assert (made.adapter.rank, made.adapter.alpha) == (16, 16.0)
    assert with_flags(preset="alea-loha", rank=4).options.adapter.alpha == 1.0
    assert with_flags(preset="notes-character", rank=16, alpha=32.0).options.adapter.alpha == 32.0


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("alea-loha", {"train_text_encoder": False}),
        ("tutorial-locon", {"multires_iterations": 0}),
        ("tutorial-locon", {"noise_offset": 0.05}),
        ("tutorial-locon", {"zero_terminal_snr": True}),
        ("notes-style", {"scheduler": "linear"}),
    ],
)
def test_an_option_given_takes_along_what_does_nothing_without_the_presets_own(name, given):
    made = with_flags(preset=name, **given).options
    assert all(flat(made)[key] == value for key, value in given.items())


def test_presets_go_with_every_algorithm_and_optimizer():
    algorithms = [*LOW_RANK, "full", "norm", "oft", "ia3", "boft"]
    for name, algorithm, optimizer in product(NAMES, algorithms, ("AdamW", "Prodigy", "ScheduleFreeAdamW")):
        if algorithm in ("glora", "norm", "dylora") and optimizer != "Prodigy":
            problem = "has no learning rate"
        elif (name, algorithm) == ("comparison-loha-6", "dylora"):
            problem = "rank is 6, no multiple of rank_unit"
        elif name in ("notes-style-out", "notes-concept-in") and optimizer == "Prodigy":
            problem = "blocks gives shares of the learning rate, but Prodigy finds one rate"
        else:
            problem = ""
        with pytest.raises(PrepError, match=problem) if problem else nullcontext():
            with_flags(preset=name, algorithm=algorithm, optimizer=optimizer)


# --- suggested ranks


def test_the_categories_are_those_of_the_notes():
    ranks = {letter: (each.min_rank, each.most) for letter, each in DIFFICULTIES.items()}
    assert ranks == {
        "A": (4, 8), "B": (4, 16), "C": (8, 32), "D": (32, 64), "E": (64, 64), "F": (64, 128), "G": (128, 128),
        "H": (128, 192), "I": (192, 256),
    }  # fmt: skip


@pytest.mark.parametrize(("category", "rank"), [("A", 8), ("C", 32), ("E", 64), ("G", 128), ("I", 256)])
def test_a_category_gives_the_rank_and_half_of_it_as_alpha(category, rank):
    found = with_flags(suggest=category)
    assert (found.options.adapter.rank, found.options.adapter.alpha) == (rank, rank / 2)
    assert found.origins["rank"] == found.origins["alpha"] == f"suggest {category}"


def test_a_suggested_rank_goes_over_a_presets_and_both_are_named():
    found = with_flags(preset="easy-prodigy", suggest="C")
    assert (found.options.adapter.rank, found.options.adapter.alpha, found.options.optimizer.optimizer) == (
        32,
        1.0,
        "Prodigy",
    )
    assert "preset easy-prodigy" in found.origins["optimizer"] and "suggest C" in found.origins["rank"]
    assert with_flags(preset="notes-character", suggest="B").options.adapter.alpha == 16.0


def test_a_rank_that_is_given_goes_over_the_suggested_one_with_its_alpha(tmp_path):
    file = tmp_path / "prep.toml"
    file.write_text('[train]\nsuggest = "I"\n', encoding="utf-8")
    assert resolved("train", Recipe, load_settings(file), {}).options.adapter.rank == 256
    own = resolved("train", Recipe, load_settings(file), {"rank": 4}).options
    assert (own.adapter.rank, own.adapter.alpha) == (4, 8.0)
    given = resolved("train", Recipe, load_settings(file), {"alpha": 3.0}).options
    assert (given.adapter.rank, given.adapter.alpha) == (256, 3.0)


def test_a_rank_is_suggested_only_where_there_is_one():
    with pytest.raises(PrepError, match=r"suggest is 'B'.*algorithm ia3 has none") as caught:
        with_flags(suggest="B", algorithm="ia3")
    assert "leave suggest out" in caught.value.hint
    with pytest.raises(PrepError, match="algorithm full has none"):
        with_flags(suggest="B", preset="roukin8-checkpoint")
    with pytest.raises(PrepError, match="suggest is 'J', which is no category"):
        chosen_layer({"suggest": "J"})


def test_neither_preset_nor_category_leaves_the_defaults():
    assert set(with_flags().origins.values()) == {"default"}
    assert chosen_layer({}) == ("", {})


def test_a_plan_says_what_a_preset_and_a_suggested_rank_decided():
    (words,) = preset_info(with_flags(preset="alea-loha").options)
    assert words.startswith("preset alea-loha: algorithm = loha, rank = 8, alpha = 1.0")
    (words,) = preset_info(with_flags(preset="alea-loha", rank=4).options)
    assert "rank = 8" not in words and words.endswith("; other than it has: rank = 4")
    (words,) = preset_info(with_flags(suggest="C").options)
    assert words == f"suggest C: rank 32, for {DIFFICULTIES['C'].subject}"
    assert list(preset_info(make_recipe())) == []
