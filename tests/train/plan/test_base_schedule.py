"""What the plan says of a base model's noise schedule, from its files alone, is what the loaded model has."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from train.models.load import load_base
from train.models.locate import find_folder
from train.models.options import ModelOptions
from train.options.recipe import make_recipe
from train.plan.base_schedule import SaidOfNoise, noise_notes, said_of_noise


def base_with(folder: Path, **changes) -> ModelOptions:
    """A copy of the miniature whose scheduler_config.json says something else."""
    shutil.copytree(find_folder("miniature", None), folder)
    file = folder / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes), encoding="utf-8")
    return ModelOptions(base=str(folder))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"prediction_type": "v_prediction"},
        {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True},
        {"prediction_type": "v_prediction", "trained_betas": [0.001] * 999 + [1]},
    ],
)
def test_a_folder_says_in_the_plan_what_it_says_when_it_is_loaded(tmp_path, changes):
    model = base_with(tmp_path / "base", **changes)
    loaded = load_base(model.base, device="cpu")
    assert said_of_noise(model) == SaidOfNoise(loaded.prediction, loaded.zero_terminal_snr)


def test_a_single_file_says_it_by_its_marker_tensors(tmp_path):
    tensors = {"v_pred": torch.zeros(0), "ztsnr": torch.zeros(0), "x": torch.zeros(1)}
    for names, said in (
        (("v_pred", "ztsnr", "x"), SaidOfNoise("v_prediction", True)),
        (("v_pred", "x"), SaidOfNoise("v_prediction", False)),
        (("x",), SaidOfNoise("", False)),
    ):
        save_file({name: tensors[name] for name in names}, tmp_path / "base.safetensors")
        assert said_of_noise(ModelOptions(base=str(tmp_path / "base.safetensors"))) == said


def test_what_a_person_gives_goes_before_the_files_and_what_cannot_be_read_says_nothing(tmp_path):
    model = base_with(tmp_path / "base")
    assert said_of_noise(ModelOptions(base=model.base, prediction="v_prediction")) == SaidOfNoise("v_prediction", False)
    assert said_of_noise(ModelOptions(base=str(tmp_path / "not there"))) is None
    (tmp_path / "base/scheduler/scheduler_config.json").write_text("[]", encoding="utf-8")
    assert said_of_noise(model) is None


@pytest.mark.parametrize(
    ("said", "options", "told"),
    [
        (SaidOfNoise("epsilon", False), {}, None),
        (SaidOfNoise("", False), {}, None),
        (None, {}, None),
        (SaidOfNoise("v_prediction", False), {}, "v-prediction and says nothing of zero-terminal SNR"),
        (SaidOfNoise("v_prediction", True), {"weighting": "min-snr"}, "(the base model's own schedule); min-snr gives"),
        (SaidOfNoise("v_prediction", False), {"zero_terminal_snr": True}, "zero-terminal SNR (zero_terminal_snr)"),
        (
            SaidOfNoise("v_prediction", True),
            {"noise_offset": 0.1},
            "training cannot begin: noise_offset and the zero-terminal",
        ),
        (
            SaidOfNoise("epsilon", False),
            {"zero_terminal_snr": True},
            "training cannot begin: the noise schedule ends in pure",
        ),
        (SaidOfNoise("epsilon", True), {}, "training cannot begin: the noise schedule ends in pure noise"),
    ],
)
def test_the_plan_tells_what_the_schedule_means_for_the_run(said, options, told):
    notes = noise_notes(make_recipe(base="miniature", **options), said)
    assert bool(notes) == bool(told) and (told is None or told in notes[0])
