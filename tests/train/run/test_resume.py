"""A killed run goes on from its last state and ends with the same bits."""

import json

import pytest
import torch
from quick_runs import QUICK, Killed, forget_run, quiet, run_digest, weights
from safetensors import safe_open

from train.adapters.adapter import attach_adapter
from train.models.load import load_base
from train.optimization.optimizers import KINDS
from train.options.recipe import make_recipe
from train.run.resume_state import load_state
from train.session import train_adapter


def test_a_killed_run_goes_on_from_its_last_state_and_ends_with_the_same_weights(prepared):
    recipe = make_recipe(**QUICK)
    undisturbed = weights(train_adapter(prepared, recipe, quiet).file)
    forget_run(prepared, "adapter")

    def die_at_three(what: str, done: int, total: int) -> None:
        if what.startswith("training") and done == 3:
            raise Killed

    with pytest.raises(Killed):
        train_adapter(prepared, recipe, die_at_three)
    trained = train_adapter(prepared, recipe, quiet)
    assert trained.resumed_from == 2
    again = weights(trained.file)
    assert undisturbed.keys() == again.keys()
    assert all(torch.equal(undisturbed[key], again[key]) for key in again)
    log = [
        json.loads(line)["step"]
        for line in (prepared.root / "runs/adapter/log.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert log == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "options",
    [
        {
            "gradient_accumulation_steps": 2,
            "noise_offset": 0.1,
            "ip_noise_gamma": 0.1,
            "warmup_share": 0.5,
            "mixed_precision": "bf16",
        },
        {
            "gradient_accumulation_steps": 2,
            "optimizer": "Prodigy",
            "unet_lr": None,
            "multires_iterations": 3,
            "loss": "huber",
        },
        {"optimizer": "ScheduleFreeAdamW", "train_text_encoder": True},
        {"gradient_accumulation_steps": 2, "accumulation_window": "epoch"},
    ],
    ids=["AdamW", "Prodigy", "ScheduleFreeAdamW", "windows of an epoch"],
)
def test_a_run_killed_twice_ends_with_the_same_bits_as_the_undisturbed_one(prepared, options):
    recipe = make_recipe(**QUICK | {"steps": 7} | options)
    pytest.importorskip(KINDS[recipe.optimizer.optimizer].module)
    undisturbed = weights(train_adapter(prepared, recipe, quiet).file)
    forget_run(prepared, "adapter")
    resumed = []
    for last in (3, 5):

        def die(what: str, done: int, total: int, last: int = last) -> None:
            if what.startswith("training") and done == last:
                raise Killed

        with pytest.raises(Killed):
            train_adapter(prepared, recipe, die)
        state = load_state(prepared.root / "runs/adapter/state.safetensors", run_digest(prepared, recipe))
        resumed.append(state.step if state else 0)
    trained = train_adapter(prepared, recipe, quiet)
    again = weights(trained.file)
    assert resumed == [2, 4]
    assert all(torch.equal(undisturbed[key], again[key]) for key in undisturbed)


def test_a_state_of_other_settings_is_not_resumed(prepared):
    train_adapter(prepared, make_recipe(**QUICK), quiet)
    assert train_adapter(prepared, make_recipe(**QUICK | {"unet_lr": 2e-2}), quiet).resumed_from == 0


@pytest.mark.parametrize("algorithm", ["lora", "locon", "loha"])
def test_training_moves_the_weights_and_the_file_says_what_it_is(prepared, algorithm):
    recipe = make_recipe(
        **QUICK | {"algorithm": algorithm, "save_precision": "fp16", "train_text_encoder": algorithm == "lora"}
    )
    trained = train_adapter(prepared, recipe, quiet)
    with safe_open(trained.file, framework="pt") as opened:
        metadata, keys = opened.metadata(), list(opened.keys())
        moved = [key for key in keys if ("lora_up" in key or "hada_w2_a" in key) and bool(opened.get_tensor(key).any())]
        assert all(opened.get_tensor(key).dtype == torch.float16 for key in keys)
    assert moved
    assert metadata["ss_base_model_version"] == "sd_v1"
    assert metadata["modelspec.trigger_phrase"] == "Lumi"
    assert len(metadata["sshs_model_hash"]) == 64
    assert json.loads(metadata["ss_tag_frequency"])["Lumi"]["lumi"] == 6
    assert any(key.startswith("lora_te_text_model_encoder_layers_0_") for key in keys) == (algorithm == "lora")
    assert any("_resnets_0_conv1" in key for key in keys) == (algorithm != "lora")
    base = load_base("miniature", device="cpu")
    inputs = torch.randn(1, 4, 16, 16), torch.tensor([500]), torch.randn(1, 77, base.unet.config.cross_attention_dim)
    with torch.no_grad():
        plain = base.unet(*inputs).sample
        adapter = attach_adapter(base, trained.file)
        assert not torch.allclose(base.unet(*inputs).sample, plain, atol=1e-5)
        adapter.set_strength(0.0)
        assert torch.equal(base.unet(*inputs).sample, plain)
