"""Presets hold what their notes set of other stages than training, and what they leave to the person."""

import pytest

from pipeline.config.registry import stage as stage_entry
from pipeline.stages import train
from train.options.presets import load_preset, preset_names
from train.options.recipe import make_recipe

NAMES = preset_names()


@pytest.mark.parametrize("name", NAMES)
def test_what_a_preset_sets_of_other_stages_are_options_of_theirs(name):
    preset = load_preset(name)
    for stage, values in preset.stages.items():
        options = stage_entry(stage).options()
        made = options(**values)
        assert {key: getattr(made, key) for key in values} == values and values
        assert made != options() or stage == "regularize", "it differs from the defaults, but for the matched images"
    assert all(isinstance(each, str) and each for each in preset.leaves)


def test_presets_set_what_their_notes_set_in_every_stage_they_speak_of():
    assert load_preset("notes-character").stages == {
        "bucket": {"min_bucket_reso": 320, "max_bucket_reso": 768},
        "regularize": {"images": "none"},
    }
    assert load_preset("notes-character-few").stages["regularize"] == {"images": "matched"}
    assert load_preset("notes-style").stages["bucket"]["resolution"] == 576
    assert load_preset("tutorial-locon").stages == {"curate": {"tagger": "none"}}
    leaves = load_preset("tutorial-locon").leaves
    assert leaves[0] == (
        "regularization images of the class (reg/1_woman): prep regularize --images user --user-images reg"
    )


def test_a_plan_says_what_of_a_preset_the_set_was_made_without_and_what_is_left_to_the_person(prepared):
    recipe = make_recipe(
        base="miniature",
        preset="notes-character-few",
        **load_preset("notes-character-few").values | {"optimizer": "AdamW"},
    )
    plan = train.plan(prepared, recipe)
    said = [warning for warning in plan.warnings if "the note of preset" in warning]
    assert said == [
        "the note of preset notes-character-few sets min_bucket_reso = 320, max_bucket_reso = 768 of bucket, with which the set "
        f"was not made; to follow it: prep bucket {prepared.root} --min-bucket-reso 320 --max-bucket-reso 768",
        "the note of preset notes-character-few sets images = matched of regularize, with which the set was not made; to "
        f"follow it: prep regularize {prepared.root} --images matched",
    ]
    assert any(line.startswith("preset notes-character-few leaves to you: clip_skip: 2 for") for line in plan.info)
    with prepared.transaction():
        prepared.begin_run("regularize", {"images": "none"}, origins={"images": "flag"})
    said = [warning for warning in train.plan(prepared, recipe).warnings if "the note of preset" in warning]
    assert len(said) == 1 and "of bucket" in said[0], "what a person chose is not told of"
