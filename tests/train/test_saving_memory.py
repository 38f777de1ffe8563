"""What saves memory changes nothing of what is learned, or is told and recorded."""

import json

import numpy as np
import pytest
import torch
from quick_runs import QUICK, log_of, metadata_of, quiet, weights

from pipeline.core.errors import PrepError
from train.job import begun_with
from train.models.load import load_base
from train.models.precision import keeping_of
from train.models.sampling.generate import Request, generate
from train.options.recipe import make_recipe
from train.run.run_record import RUN, STATE, read_run, run_folder
from train.session import train_adapter

BESIDE = {"validation": "auto", "sample_prompts": ("1girl", "Lumi, night"), "sample_every_steps": 2}


def same(one, other) -> bool:
    left, right = weights(one), weights(other)
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shuffle_tags": False, "caption_dropout": 0.3},
        {"train_text_encoder": True},
        pytest.param({"tag_dropout": 0.2, **BESIDE}, id="beside", marks=pytest.mark.slow),
    ],
)
def test_parts_that_leave_the_device_give_the_same_adapter_to_the_bit(prepared, options):
    whole = train_adapter(prepared, make_recipe(**QUICK | options | {"name": "whole"}), quiet)
    parts = train_adapter(prepared, make_recipe(**QUICK | options | {"name": "parts", "offload": "parts"}), quiet)
    assert same(whole.file, parts.file)
    images = [run_folder(prepared.root, name).rglob("*.png") for name in ("whole", "parts")]
    assert [each.read_bytes() for each in sorted(images[0])] == [each.read_bytes() for each in sorted(images[1])]


@pytest.mark.parametrize("options", [{}, {"gradient_checkpointing": True}, {"algorithm": "lokr", "dora": True}])
def test_layers_that_come_one_at_a_time_give_the_same_adapter_to_the_bit(prepared, options):
    options = {"gradient_checkpointing": False, **options}
    whole = train_adapter(prepared, make_recipe(**QUICK | options | {"name": "whole"}), quiet)
    blocks = train_adapter(prepared, make_recipe(**QUICK | options | {"name": "blocks", "offload": "blocks"}), quiet)
    assert same(whole.file, blocks.file)


def test_activations_that_are_computed_again_give_the_same_adapter(prepared):
    whole = train_adapter(prepared, make_recipe(**QUICK | {"name": "whole"}), quiet)
    again = train_adapter(prepared, make_recipe(**QUICK | {"name": "again", "gradient_checkpointing": True}), quiet)
    assert same(whole.file, again.file)


def test_weights_in_8_bits_train_and_the_run_says_so(prepared):
    trained = train_adapter(prepared, make_recipe(**QUICK | {"weights_precision": "fp8"}), quiet)
    assert all(bool(value.isfinite().all()) for value in weights(trained.file).values())
    assert len(log_of(prepared)) == QUICK["steps"]
    settings = read_run(run_folder(prepared.root, make_recipe(**QUICK).run.name) / RUN)["settings"]
    assert settings["weights_precision"]["value"] == "fp8"


def test_what_was_chosen_is_recorded_with_where_it_is_from(prepared):
    train_adapter(prepared, make_recipe(**QUICK | {"device": "cpu"}), quiet)
    settings = read_run(run_folder(prepared.root, make_recipe(**QUICK).run.name) / RUN)["settings"]
    chosen = {
        name: settings[name] for name in ("mixed_precision", "weights_precision", "gradient_checkpointing", "offload")
    }
    assert chosen == {
        "mixed_precision": {"value": "no", "origin": "device"},
        "weights_precision": {"value": "full", "origin": "device"},
        "gradient_checkpointing": {"value": False, "origin": "device"},
        "offload": {"value": "none", "origin": "device"},
    }
    assert (
        metadata_of(
            run_folder(prepared.root, make_recipe(**QUICK).run.name) / f"{make_recipe(**QUICK).run.name}.safetensors"
        )["ss_mixed_precision"]
        == "no"
    )


def test_a_run_that_goes_on_takes_the_precisions_it_was_begun_with(tmp_path):
    recipe = make_recipe(**QUICK)
    assert begun_with(tmp_path, recipe) == recipe, "nothing was begun"
    (tmp_path / STATE).touch()
    settings = {"mixed_precision": {"value": "bf16"}, "weights_precision": {"value": "fp8"}}
    (tmp_path / RUN).write_text(json.dumps({"settings": settings, "set": {}}), encoding="utf-8")
    found = begun_with(tmp_path, recipe).precision
    assert (found.mixed_precision, found.weights_precision) == ("bf16", "fp8")
    typed = begun_with(tmp_path, make_recipe(**QUICK | {"mixed_precision": "no"})).precision
    assert typed.mixed_precision == "no", "what is typed wins"


def test_a_full_device_ends_training_with_what_helps(prepared, monkeypatch):
    from train.loop import Trainer

    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Trainer, "_losses", full)
    with pytest.raises(PrepError) as caught:
        train_adapter(prepared, make_recipe(**QUICK | {"device": "cpu"}), quiet)
    assert caught.value.message == "the CPU had no memory left after 0 steps"
    assert "gradient_checkpointing = true (" in caught.value.hint and " less)" in caught.value.hint


def test_images_are_the_same_from_parts_that_leave_the_device():
    requests = [Request(prompt, 3, (64, 64), "", steps=2, guidance=7.0) for prompt in ("1girl", "night", "Lumi")]
    made = []
    for offload in ("none", "parts"):
        options = make_recipe(
            base="miniature", mixed_precision="no", weights_precision="full", offload=offload
        ).precision
        base = load_base("miniature", device="cpu", keeping=keeping_of(options))
        made.append(np.stack([np.asarray(image, np.int16) for image in generate(base, requests, batch_size=1)]))
    assert int(np.abs(made[0] - made[1]).max()) <= 1, "of 255, rounded: more are decoded at once"
