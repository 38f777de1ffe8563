import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from pipeline.errors import PrepError
from pipeline.manifest import Manifest
from pipeline.records import Decision
from pipeline.stages import regularize
from train.base import load_base
from train.dataset import examples
from train.recipe import Recipe
from train.session import hang_adapter, train_adapter

QUICK = {
    "base": "miniature",
    "rank": 2,
    "alpha": 2.0,
    "conv_rank": 2,
    "conv_alpha": 2.0,
    "batch_size": 2,
    "steps": 5,
    "learning_rate": 1e-2,
    "state_every": 2,
    "save_precision": "fp32",
    "device": "cpu",
}


def quiet(what: str, done: int, total: int) -> None:
    pass


def weights(file: Path) -> dict[str, torch.Tensor]:
    with safe_open(file, framework="pt") as opened:
        return {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118


def forget_run(manifest: Manifest, name: str) -> None:
    for file in (manifest.root / "runs" / name).glob("*"):
        file.unlink()


class Killed(BaseException):
    """Stands for Ctrl-C or a crash in the middle of a step."""


def test_a_killed_run_goes_on_from_its_last_state_and_ends_with_the_same_weights(prepared):
    recipe = Recipe(**QUICK)
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
    assert all(torch.allclose(undisturbed[key], again[key], atol=1e-6) for key in again)
    log = [json.loads(line)["step"] for line in (prepared.root / "runs/adapter/log.jsonl").read_text().splitlines()]
    assert log == [1, 2, 3, 4, 5]


def test_a_state_of_other_settings_is_not_taken_up(prepared):
    train_adapter(prepared, Recipe(**QUICK), quiet)
    assert train_adapter(prepared, Recipe(**QUICK | {"learning_rate": 2e-2}), quiet).resumed_from == 0


@pytest.mark.parametrize("algorithm", ["lora", "locon", "loha"])
def test_training_moves_the_weights_and_the_file_says_what_it_is(prepared, algorithm):
    recipe = Recipe(
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
    assert json.loads(metadata["ss_tag_frequency"])["Lumi"]["Lumi"] == 6
    assert any(key.startswith("lora_te_text_model_encoder_layers_0_") for key in keys) == (algorithm == "lora")
    assert any("_resnets_0_conv1" in key for key in keys) == (algorithm != "lora")
    base = load_base("miniature", device="cpu")
    inputs = torch.randn(1, 4, 16, 16), torch.tensor([500]), torch.randn(1, 77, base.unet.config.cross_attention_dim)
    with torch.no_grad():
        plain = base.unet(*inputs).sample
        adapter = hang_adapter(base, trained.file)
        assert not torch.allclose(base.unet(*inputs).sample, plain, atol=1e-5)
        adapter.set_strength(0.0)
        assert torch.allclose(base.unet(*inputs).sample, plain, atol=1e-5)


def test_twins_are_sampled_once_marked_and_trained_beside_their_pictures(prepared):
    options = regularize.Options(base="miniature", steps=2, device="cpu")
    plan = regularize.plan(prepared, options)
    with prepared.transaction():
        prepared.put_decisions(prepared.begin_run("regularize", {}, ""), plan.fields, plan.decisions)
    assert regularize.missing(prepared, options).startswith("6 twins are not there")
    assert regularize.work(prepared, options, quiet) == {"pictures made": 6, "pictures already there": 0}
    assert regularize.work(prepared, options, quiet) == {"pictures made": 0, "pictures already there": 6}
    assert regularize.missing(prepared, options) == ""
    assert (
        regularize.work(prepared, regularize.Options(base="miniature", steps=3, device="cpu"), quiet)["pictures made"]
        == 6
    )
    found = examples(prepared, twins=True)
    assert all(
        example.twin and example.twin.size == example.picture.size and example.twin_caption == example.caption
        for example in found
    )
    assert (prepared.root / "regularization/Lumi/0 ✨ [x].txt").read_text(encoding="utf-8").strip() == found[0].caption
    with_twins = weights(train_adapter(prepared, Recipe(**QUICK), quiet).file)
    without = weights(
        train_adapter(prepared, Recipe(**QUICK | {"prior_loss_weight": 0.0, "name": "alone"}), quiet).file
    )
    assert any(not torch.equal(with_twins[key], without[key]) for key in without)


def test_a_twin_without_the_trigger_leaves_the_added_words_out():
    tags = [["Lumi", "added", "trigger word"], ["smile", "kept", "score 0.9"]]
    assert regularize.twin_caption("Lumi, 1girl, smile", tags, "remove") == "1girl, smile"
    assert regularize.twin_caption("Lumi, 1girl, smile", tags, "keep") == "Lumi, 1girl, smile"


def test_a_set_that_was_not_prepared_is_refused_with_the_stage_to_run(prepared):
    path = prepared.images()[0].path
    with prepared.transaction():
        run = prepared.begin_run("test", {}, "")
        prepared.put_decisions(
            run, ("caption",), [row for row in prepared.decisions("caption").values() if row.path != path]
        )
    with pytest.raises(PrepError, match="1 kept pictures have no caption") as caught:
        train_adapter(prepared, Recipe(**QUICK), quiet)
    assert "prep curate" in caught.value.hint


def test_a_non_finite_loss_stops_the_run_and_names_the_pictures(prepared):
    with pytest.raises(PrepError, match=r"the loss is (nan|inf) at step .*images/Lumi/"):
        train_adapter(prepared, Recipe(**QUICK | {"learning_rate": 1e30, "max_grad_norm": 0.0}), quiet)


def test_an_unset_bucket_decision_is_refused(prepared):
    with prepared.transaction():
        prepared.put_decisions(prepared.begin_run("test", {}, ""), ("bucket",), [Decision("x", "bucket", {}, "none")])
    with pytest.raises(PrepError, match="have no bucket"):
        examples(prepared, twins=False)
