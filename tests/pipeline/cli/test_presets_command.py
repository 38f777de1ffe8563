"""`prep presets`: what it prints is what a run with the preset uses."""

import json

import pytest
from click.testing import CliRunner

from pipeline.cli.main import prep
from pipeline.config.settings import load_settings
from train.options.presets import DIFFICULTIES, load_preset, preset_names
from train.options.recipe import recipe_of


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(prep, ["presets", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("name", preset_names())
def test_what_is_printed_of_a_preset_can_be_pasted_into_prep_toml(name, tmp_path):
    (tmp_path / "prep.toml").write_text(printed(name), encoding="utf-8")
    pasted = load_settings(tmp_path / "prep.toml").stages["train"]
    assert recipe_of(pasted) == recipe_of(dict(load_preset(name).values))


def test_all_presets_are_listed_with_what_they_are_and_where_they_are_from():
    text = printed()
    for name in preset_names():
        preset = load_preset(name)
        assert f"{name} " in text and preset.description in text and preset.source in text
    assert all(f"{letter}  " in text and each.subject in text for letter, each in DIFFICULTIES.items())


def test_as_json_they_hold_their_settings():
    found = json.loads(printed("--json"))
    assert {each["name"] for each in found["presets"]} == set(preset_names())
    assert found["suggest"]["C"]["rank"] == 32
    assert json.loads(printed("alea-loha", "--json"))["train"]["rank"] == 8


def test_a_wrong_name_is_an_error_that_says_which_was_meant():
    result = CliRunner().invoke(prep, ["presets", "alea-lowha"])
    assert result.exit_code != 0 and "did you mean alea-loha" in result.output and "Traceback" not in result.output
