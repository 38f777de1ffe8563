"""Everything in examples/ is read strictly, and the one that needs no download is run as shipped."""

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli.main import prep
from pipeline.config.registry import STAGES
from pipeline.config.settings import load_settings, options_for
from pipeline.core.flat import flat
from pipeline.store.manifest import Manifest
from train.miniature.painter import paint
from train.miniature.scenes import CHARACTERS, Scene
from train.options.presets import load_preset, preset_names

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.toml")), ids=lambda file: file.name)
def test_every_example_is_understood_by_every_stage(file):
    settings = load_settings(file)
    for entry in STAGES:
        options = options_for(entry.name, entry.options(), settings, {})
        for key, value in settings.stages.get(entry.name, {}).items():
            assert flat(options)[key] == value


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.toml")), ids=lambda file: file.name)
def test_no_example_repeats_what_its_preset_says(file):
    given = load_settings(file).stages["train"]
    preset = load_preset(given["preset"]).values if "preset" in given else {}
    assert not [key for key, value in given.items() if key in preset and preset[key] == value]


def test_the_examples_that_other_presets_are_named_in_name_real_ones():
    for file in EXAMPLES.glob("*.toml"):
        text = file.read_text(encoding="utf-8")
        named = re.findall(r"--preset ([a-z0-9-]+)", text) + re.findall(r"\"((?:alea|comparison)-[a-z0-9-]+)\"", text)
        assert set(named) - {"comparison-set"} <= set(preset_names()), file.name


@pytest.mark.slow
def test_the_miniature_example_runs_from_images_to_samples_and_is_fresh_afterwards(tmp_path):
    for name, girl in list(CHARACTERS.items())[:2]:
        for index, framing in enumerate(("portrait", "upper body", "full body")):
            size = {"portrait": (64, 64), "upper body": (56, 72), "full body": (48, 80)}[framing]
            file = tmp_path / "images" / "characters" / name / f"{index}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            paint(Scene((girl,), ("day", "night", "forest")[index], framing, "fan art", size, index), 3.0).save(file)
    shutil.copy(EXAMPLES / "miniature.toml", tmp_path)
    first = CliRunner().invoke(prep, ["run", str(tmp_path / "miniature.toml"), "--json"], standalone_mode=False)
    assert first.exception is None, first.output
    set_folder = tmp_path / "set"
    assert (set_folder / "runs/adapter/adapter.safetensors").is_file()
    with Manifest.open(set_folder) as manifest:
        captions = {path: row.value for path, row in manifest.decisions("caption").items()}
        assert len(captions) == 6
        assert all(text.split(", ")[0] == ("Lumi" if "Lumi" in path else "Oriel") for path, text in captions.items())
        assert len(manifest.decisions("regularization")) == 6
    samples = json.loads((set_folder / "runs/adapter/samples/samples.json").read_text(encoding="utf-8"))
    assert {row["prompt"] for row in samples} == {"1girl, Lumi", "1girl, Oriel"}
    assert all((set_folder / row[which]).is_file() for row in samples for which in ("base", "adapter"))
    second = CliRunner().invoke(prep, ["run", str(tmp_path / "miniature.toml"), "--json"], standalone_mode=False)
    assert [row["fresh"] for row in json.loads(second.stdout)["stages"]] == [True] * len(STAGES)
