"""One run, from a prepared set to an adapter's file that says what it is."""

from dataclasses import replace

import pytest
import torch
from decided import decided
from quick_runs import QUICK, log_of, metadata_of, quiet, run_digest, weights

from pipeline.core.errors import PrepError
from pipeline.store.values.bucket import Bucket
from train.data.dataset import examples
from train.loop import Trainer
from train.models.load import load_base
from train.models.precision import DTYPES
from train.models.sampling.noise_schedule import zero_terminal_snr
from train.models.storage import Numbers, keep_all
from train.options.recipe import make_recipe
from train.run.resume_state import load_state
from train.session import train_adapter


def test_a_set_that_was_not_prepared_is_refused_with_the_stage_to_run(prepared):
    path = prepared.images()[0].path
    with prepared.transaction():
        run = prepared.begin_run("test", {}, "")
        prepared.put_decisions(
            run, ("caption",), [row for row in prepared.decisions("caption").values() if row.path != path]
        )
    with pytest.raises(PrepError, match="1 kept images have no caption") as caught:
        train_adapter(prepared, make_recipe(**QUICK), quiet)
    assert "prep curate" in caught.value.hint


def test_the_last_batches_count_though_they_do_not_fill_an_update(prepared):
    trained = train_adapter(prepared, make_recipe(**QUICK | {"steps": 3, "gradient_accumulation_steps": 2}), quiet)
    assert metadata_of(trained.file)["ss_steps"] == "2"
    rates = [line["unet_lr"] for line in log_of(prepared)]
    assert rates == pytest.approx([1e-2, 1e-2, 0.5e-2])
    alone = train_adapter(
        prepared, make_recipe(**QUICK | {"steps": 1, "gradient_accumulation_steps": 4, "name": "alone"}), quiet
    )
    assert any(bool(value.any()) for key, value in weights(alone.file).items() if "lora_up" in key)


def test_an_epochs_end_may_close_what_is_accumulated(prepared):
    options = QUICK | {"steps": None, "epochs": 2, "gradient_accumulation_steps": 100, "accumulation_window": "epoch"}
    trained = train_adapter(prepared, make_recipe(**options), quiet)
    updated = [line["step"] for line in log_of(prepared) if "gradient_norm" in line]
    assert len(updated) == 2 and updated == [trained.steps // 2, trained.steps]
    assert metadata_of(trained.file)["ss_steps"] == "2"


def test_accumulate_0_accumulates_as_many_batches_as_there_are_buckets(prepared):
    trained = train_adapter(prepared, make_recipe(**QUICK | {"gradient_accumulation_steps": 0, "steps": 4}), quiet)
    assert metadata_of(trained.file)["ss_gradient_accumulation_steps"] == "2"
    assert metadata_of(trained.file)["ss_steps"] == "2"


def test_metadata_and_log_tell_the_rates_that_acted(prepared):
    pytest.importorskip("prodigyopt")
    options = {"optimizer": "Prodigy", "optimizer_args": {"d_coef": "2"}, "unet_lr": None, "steps": 2}
    trained = train_adapter(prepared, make_recipe(**QUICK | options), quiet)
    metadata = metadata_of(trained.file)
    assert metadata["ss_learning_rate"] == "1.0"
    assert metadata["ss_lr_scheduler"] == "constant"
    assert metadata["ss_optimizer"].startswith("prodigyopt.Prodigy(weight_decay=0.01,")
    assert "d_coef=2.0" in metadata["ss_optimizer"]
    assert all(1e-7 < line["unet_lr"] < 1e-2 for line in log_of(prepared))


def test_wrong_options_are_refused_before_anything_is_encoded(prepared):
    with pytest.raises(PrepError, match="has no such argument"):
        train_adapter(prepared, make_recipe(**QUICK | {"optimizer_args": {"weight_dekay": "1"}}), quiet)
    with pytest.raises(PrepError, match="the base model predicts epsilon"):
        train_adapter(prepared, make_recipe(**QUICK | {"zero_terminal_snr": True}), quiet)
    assert not list((prepared.root / "cache").rglob("*.safetensors"))


def test_no_step_waits_for_the_device(prepared, monkeypatch):
    waits = []
    for name in ("item", "tolist", "__bool__", "__float__", "numpy"):
        honest = getattr(torch.Tensor, name)

        def counted(self, *args, honest=honest, name=name):
            waits.append(name)
            return honest(self, *args)

        monkeypatch.setattr(torch.Tensor, name, counted)
    at = {}
    train_adapter(
        prepared,
        make_recipe(**QUICK | {"save_state_every": 100, "gradient_accumulation_steps": 2, "noise_offset": 0.1}),
        lambda what, done, total: at.update({(what.split(":")[0], done): len(waits)}),
    )
    assert at["training", 4] == at["training", 1]
    assert len(waits) > at["training", 4], "the end of the run reads the losses, so the counting works"


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_rounding_the_frozen_weights_once_is_what_autocast_does_at_every_use(precision):
    base = load_base("miniature", device="cpu")
    inputs = torch.randn(1, 4, 16, 16), torch.tensor([500]), torch.randn(1, 77, base.unet.config.cross_attention_dim)
    with torch.no_grad(), torch.autocast("cpu", DTYPES[precision]):
        before = base.unet(*inputs).sample
        keep_all(base.unet, Numbers(DTYPES[precision]))
        assert base.unet.conv_in.weight.dtype == DTYPES[precision]
        assert torch.equal(base.unet(*inputs).sample, before)


def test_half_precision_trains_and_saves_the_state_of_its_loss_scale(prepared):
    recipe = make_recipe(**QUICK | {"mixed_precision": "fp16", "steps": 2})
    trained = train_adapter(prepared, recipe, quiet)
    assert any(bool(value.any()) for key, value in weights(trained.file).items() if "lora_up" in key)
    state = load_state(prepared.root / "runs/adapter/state.safetensors", run_digest(prepared, recipe))
    assert state is not None and state.parts["scaler"]["scale"] > 0


def test_torchs_global_generator_is_left_as_it_was(prepared):
    before = torch.get_rng_state()
    train_adapter(prepared, make_recipe(**QUICK | {"steps": 1, "noise_offset": 0.1}), quiet)
    assert torch.equal(torch.get_rng_state(), before)


def test_attention_is_torchs_scaled_dot_product_attention():
    base = load_base("miniature", device="cpu")
    assert {type(each).__name__ for each in base.unet.attn_processors.values()} == {"AttnProcessor2_0"}
    assert base.text_encoder.config._attn_implementation == "sdpa"


def test_an_unset_bucket_decision_is_refused(prepared):
    with prepared.transaction():
        prepared.put_decisions(
            prepared.begin_run("test", {}, ""), ("bucket",), [decided("x", "bucket", Bucket.whole((8, 8)))]
        )
    with pytest.raises(PrepError, match="have no bucket"):
        examples(prepared, make_recipe(**QUICK).dataset)


def test_a_base_model_with_its_own_zero_terminal_schedule_is_treated_as_if_it_were_asked_for(prepared):
    own = load_base("miniature", device="cpu", prediction="v_prediction")
    own = replace(own, alphas_cumprod=zero_terminal_snr(own.alphas_cumprod), warnings=())
    few = QUICK | {"steps": 1}
    trained = train_adapter(prepared, make_recipe(**few), quiet, own)
    assert metadata_of(trained.file)["ss_zero_terminal_snr"] == "True"
    assert trained.warnings[0] == (
        "trained to zero-terminal SNR (the base model's own schedule); min-snr gives its last timesteps almost no weight: "
        "prefer debiased or none"
    )
    with pytest.raises(
        PrepError, match="noise_offset and the zero-terminal SNR of the base model correct the same problem"
    ):
        train_adapter(prepared, make_recipe(**few | {"noise_offset": 0.1}), quiet, own)


def test_a_v_prediction_base_that_says_nothing_of_zero_terminal_snr_gets_a_hint(prepared):
    base = replace(load_base("miniature", device="cpu", prediction="v_prediction"), warnings=())
    trained = train_adapter(prepared, make_recipe(**QUICK | {"steps": 1}), quiet, base)
    assert metadata_of(trained.file)["ss_zero_terminal_snr"] == "False"
    assert "says nothing of zero-terminal SNR" in trained.warnings[0]


@pytest.mark.parametrize(("rate", "gone"), [("unet_lr", "lora_unet_"), ("text_encoder_lr", "lora_te_")])
def test_a_part_whose_rate_is_zero_is_not_in_the_adapter(prepared, rate, gone):
    recipe = make_recipe(**QUICK | {"steps": 1, "train_text_encoder": True, rate: 0.0})
    keys = weights(train_adapter(prepared, recipe, quiet).file)
    assert keys and not [key for key in keys if key.startswith(gone)]


def test_the_mean_of_a_batch_counts_what_is_there_and_changes_only_partial_batches(prepared, monkeypatch):
    divisors = []
    honest = Trainer._divisor

    def noted(self, batch, shown):
        divisors.append((len(shown.samples), honest(self, batch, shown)))
        return divisors[-1][1]

    monkeypatch.setattr(Trainer, "_divisor", noted)
    train_adapter(prepared, make_recipe(**QUICK | {"batch_size": 4, "steps": 3, "batch_loss": "mean"}), quiet)
    assert divisors and all(samples == divisor for samples, divisor in divisors)
    assert any(samples != 4 for samples, _ in divisors)
