"""Format 3 in the words of format 4, where the kept set of format 3 has no case of it."""

import json
import tomllib

import pytest

from pipeline.store.migrations.to_4 import run_files, settings
from pipeline.store.migrations.to_4.decisions import Columns, columns_now
from pipeline.store.migrations.to_4.names import ADDED, options_of


def test_json_that_says_what_it_said_stays_as_it_is_written():
    text = '[["remove",  "hat"]]'
    assert columns_now("overlay", Columns(text, "edited with prep tags", "-hat")).value == text
    assert columns_now("keep", Columns(None, None, None)) == Columns(None, None, None)


def test_user_supplied_regularization_images_say_the_same_in_another_order():
    bucket = {"size": [64, 64], "scaled": [64, 80], "crop": [0, 8, 64, 72], "loss": 0.2, "anchor": "centre"}
    more = [{"path": "b.png", "bucket": bucket}]
    old = {"path": "a.png", "caption": "1girl", "bucket": bucket, "size": [64, 64], "matched": False, "more": more}
    found = columns_now("twin", Columns(json.dumps(old), "given pictures", ""))
    assert list(json.loads(found.value)) == ["path", "caption", "size", "matched", "bucket", "more"]
    assert json.loads(found.value) == old


def test_options_have_their_new_names_and_others_keep_theirs():
    assert list(options_of("train", {"cycles": 1, "epochs": 2, "learning_rate": None})) == [
        "accumulation_window",
        "batch_loss",
        "channels_last",
        "compile",
        "epochs",
        "num_cycles",
        "offload",
        "only",
        "prior_loss_weights",
        "reg_pair",
        "reg_share",
        "tf32",
        "unet_lr",
        "vram",
        "weights_precision",
        "without",
    ]
    assert options_of("undo", {"stage": "tags", "run": 3}) == {"stage": "tags", "run": 3}


def test_a_default_that_nobody_gave_is_todays_and_what_was_given_stays():
    old = {"mixed_precision": "no", "gradient_checkpointing": False}
    now = options_of("train", old, {})
    assert (now["mixed_precision"], now["gradient_checkpointing"]) == ("auto", None)
    given = options_of("train", old, {"mixed_precision": "--mixed-precision"})
    assert (given["mixed_precision"], given["gradient_checkpointing"]) == ("no", None)
    assert options_of("sample", {"batch_size": 8}, {})["batch_size"] is None
    assert options_of("sample", {"batch_size": 4}, {})["batch_size"] == 4


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[train]\r\ncycles=2 # cycles\r\n", "[train]\r\nnum_cycles=2 # cycles\r\n"),
        ("[other]\ncycles = 2\n[ 'train' ]\n  cycles = 2\n", "[other]\ncycles = 2\n[ 'train' ]\n  num_cycles = 2\n"),
        ('[train]\nname = """\ncycles = 2\n"""\n', None),
        ("train = { cycles = 2 }\n", None),
        ("[train\ncycles = 2\n", None),
        ("[train]\nepochs = 2\n", None),
    ],
)
def test_a_prep_toml_is_rewritten_only_where_that_is_sure(tmp_path, old, new):
    (tmp_path / "prep.toml").write_bytes(old.encode())
    for _ in range(2):
        settings.bring_forward(tmp_path)
    assert (tmp_path / "prep.toml").read_bytes().decode() == (new or old)
    assert (tmp_path / "prep.toml.v3").exists() == bool(new)
    if new:
        assert (tmp_path / "prep.toml.v3").read_bytes().decode() == old
        tomllib.loads(new)


def test_files_of_a_run_that_are_not_what_they_should_be_stay_and_half_a_line_of_a_log_too(tmp_path):
    folder = tmp_path / "runs" / "a"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("[]")
    (folder / "recipe.json").write_text("{")
    (folder / "state.safetensors").write_bytes(b"\xff" * 9)
    (folder / "log.jsonl").write_text('{"step": 1, "twins": []}\n{"step": 2, "twi')
    before = {name: (folder / name).read_bytes() for name in ("run.json", "recipe.json", "state.safetensors")}
    for _ in range(2):
        run_files.bring_forward(tmp_path)
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert (folder / "log.jsonl").read_text() == '{"step": 1, "reg_images": []}\n{"step": 2, "twi'


def test_the_losses_of_a_runs_validations_get_their_new_names_once_and_half_a_line_stays(tmp_path):
    file = tmp_path / "runs" / "a" / "validation.jsonl"
    file.parent.mkdir(parents=True)
    losses = '"held": 0.5, "watched": 0.25'
    half = '{"step": 2, "wat'
    file.write_text(
        f'{{"step": 1, "epoch": 1, {losses}, "concepts": {{"Lumi": {{{losses}}}}}, "bands": {{"0-250": {{{losses}}}}}}}\n{half}'
    )
    now = '"held_out": 0.5, "train_subset": 0.25'
    for _ in range(2):
        run_files.bring_forward(tmp_path)
        assert file.read_text() == (
            f'{{"step": 1, "epoch": 1, {now}, "concepts": {{"Lumi": {{{now}}}}}, "bands": {{"0-250": {{{now}}}}}}}\n{half}'
        )


def test_values_of_options_get_their_new_names_in_runs_and_in_prep_toml(tmp_path):
    old = {"core": {"Lumi": "absorb", "Quill": "keep"}, "absorb": {"*": "watch"}}
    now = {"core": {"Lumi": "prune", "Quill": "keep"}, "prune_tags": {"*": "watch"}, **ADDED["curate"]}
    assert options_of("curate", old) == now
    open_now = {
        "mixed_precision": "auto",
        "vram": None,
        "class_word": "",
        "class_words": {},
        "styles": ("artists/*", "artist/*", "styles/*", "style/*"),
    }
    assert options_of("regularize", {"pictures": "given", "given": "/a"}) == {
        "images": "user",
        "user_images": "/a",
        **open_now,
    }
    file = tmp_path / "prep.toml"
    file.write_text('[curate]\ncore = {Lumi = "absorb"}\n\n[regularize]\npictures = \'given\'\ngiven = "given"\n')
    settings.bring_forward(tmp_path)
    assert file.read_text() == (
        '[curate]\ncore = {Lumi = "prune"}\n\n[regularize]\nimages = \'user\'\nuser_images = "given"\n'
    )
