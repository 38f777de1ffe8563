import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from decided import decided, scored, trigger
from safetensors import safe_open

from pipeline.core.errors import PrepError
from pipeline.stages import regularize
from pipeline.store.manifest import Manifest
from pipeline.store.values.bucket import Bucket
from train.adapters.adapter import attach_adapter
from train.data.batches import Batch
from train.data.dataset import Example, examples
from train.data.latent_cache import ImageView, Latent
from train.data.regularization import RegImage
from train.data.sampler import SampledImage
from train.data.step_inputs import draw_inputs
from train.loop import Trainer
from train.models.load import load_base
from train.models.precision import DTYPES, lower
from train.models.sampling.noise_schedule import zero_terminal_snr
from train.optimization.optimizers import KINDS
from train.optimization.options import NoiseOptions
from train.options.recipe import Recipe, make_recipe
from train.run.resume_state import load_state
from train.session import train_adapter

QUICK = {
    "base": "miniature",
    "rank": 2,
    "alpha": 2.0,
    "conv_rank": 2,
    "conv_alpha": 2.0,
    "batch_size": 2,
    "steps": 5,
    "unet_lr": 1e-2,
    "save_state_every": 2,
    "save_precision": "fp32",
    "validation_times": 1,
    "device": "cpu",
}


def quiet(what: str, done: int, total: int) -> None:
    pass


def weights(file: Path) -> dict[str, torch.Tensor]:
    with safe_open(file, framework="pt") as opened:
        return {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118


def metadata_of(file: Path) -> dict[str, str]:
    with safe_open(file, framework="pt") as opened:
        return opened.metadata()


def log_of(manifest: Manifest) -> list[dict[str, float]]:
    return [
        json.loads(line) for line in (manifest.root / "runs/adapter/log.jsonl").read_text(encoding="utf-8").splitlines()
    ]


def run_digest(manifest: Manifest, recipe: Recipe) -> str:
    with safe_open(manifest.root / "runs" / recipe.run.name / "state.safetensors", framework="pt") as opened:
        return opened.metadata()["digest"]


def forget_run(manifest: Manifest, name: str) -> None:
    for file in (manifest.root / "runs" / name).glob("*"):
        file.unlink()


class Killed(BaseException):
    """Stands for Ctrl-C or a crash in the middle of a step."""


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
    ],
    ids=["AdamW", "Prodigy", "ScheduleFreeAdamW"],
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


def test_a_state_of_other_settings_is_not_taken_up(prepared):
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


def test_reg_images_are_sampled_once_marked_and_trained_beside_their_images(prepared):
    options = regularize.Options(base="miniature", steps=2, device="cpu")
    plan = regularize.plan(prepared, options)
    with prepared.transaction():
        prepared.put_decisions(prepared.begin_run("regularize", {}, ""), plan.fields, plan.decisions)
    assert regularize.missing(prepared, options).startswith("6 regularization images are not there")
    assert regularize.work(prepared, options, quiet).counts == {"images_made": 6, "images_already_there": 0}
    assert regularize.work(prepared, options, quiet).counts == {"images_made": 0, "images_already_there": 6}
    assert regularize.missing(prepared, options) == ""
    assert (
        regularize.work(prepared, regularize.Options(base="miniature", steps=3, device="cpu"), quiet).counts[
            "images_made"
        ]
        == 6
    )
    found = examples(prepared, make_recipe(**QUICK).dataset)
    assert all(
        [reg_image.image.size for reg_image in example.reg_images] == [example.image.size]
        and [reg_image.caption for reg_image in example.reg_images] == [example.caption]
        for example in found
    )
    assert (prepared.root / "regularization/Lumi/0 ✨ [x].txt").read_text(encoding="utf-8").strip() == found[0].caption
    with_reg_images = weights(train_adapter(prepared, make_recipe(**QUICK), quiet).file)
    without = weights(
        train_adapter(prepared, make_recipe(**QUICK | {"prior_loss_weight": 0.0, "name": "alone"}), quiet).file
    )
    assert any(not torch.equal(with_reg_images[key], without[key]) for key in without)


def test_a_reg_image_without_the_trigger_leaves_the_added_words_out():
    tags = [trigger("Lumi"), scored("smile")]
    assert regularize.reg_image_caption("Lumi, 1girl, smile", tags, "remove") == "1girl, smile"
    assert regularize.reg_image_caption("Lumi, 1girl, smile", tags, "keep") == "Lumi, 1girl, smile"


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


def test_a_non_finite_loss_stops_the_run_and_names_the_images(prepared):
    with pytest.raises(PrepError, match=r"the loss is (nan|inf) at step .*images/Lumi/"):
        train_adapter(prepared, make_recipe(**QUICK | {"unet_lr": 1e30, "max_grad_norm": 0.0}), quiet)


def test_a_loss_that_is_not_finite_is_named_with_its_own_images_and_the_last_good_state_is_kept(prepared, monkeypatch):
    seen, honest = {}, Trainer._losses

    def broken(self, batch, shown):
        seen[batch.step + 1] = {example.entry.key for example in batch.examples}
        return honest(self, batch, shown) * (float("nan") if batch.step + 1 == 4 else 1.0)

    monkeypatch.setattr(Trainer, "_losses", broken)
    with pytest.raises(PrepError, match="the loss is nan at step 4; the batch held") as caught:
        train_adapter(prepared, make_recipe(**QUICK), quiet)
    assert set(caught.value.message.partition("held ")[2].split(", ")) == seen[4]
    folder = prepared.root / "runs/adapter"
    assert f"the last good state is kept in {folder / 'state.safetensors'}" in caught.value.hint
    monkeypatch.undo()
    assert [line["step"] for line in log_of(prepared)] == [1, 2, 3]
    assert train_adapter(prepared, make_recipe(**QUICK), quiet).resumed_from == 2


def test_weights_that_are_not_finite_are_never_saved_as_a_state(prepared, monkeypatch):
    def poison(self, update, updates):
        with torch.no_grad():
            self.trained[0][:] = float("nan")

    monkeypatch.setattr(Trainer, "_update", poison)
    with pytest.raises(PrepError, match="not finite any more; the last batches held images/Lumi/"):
        train_adapter(prepared, make_recipe(**QUICK | {"steps": 1}), quiet)
    assert not (prepared.root / "runs/adapter/state.safetensors").exists()


def test_the_last_batches_count_though_they_do_not_fill_an_update(prepared):
    trained = train_adapter(prepared, make_recipe(**QUICK | {"steps": 3, "gradient_accumulation_steps": 2}), quiet)
    assert metadata_of(trained.file)["ss_steps"] == "2"
    rates = [line["unet_lr"] for line in log_of(prepared)]
    assert rates == pytest.approx([1e-2, 1e-2, 0.5e-2])
    alone = train_adapter(
        prepared, make_recipe(**QUICK | {"steps": 1, "gradient_accumulation_steps": 4, "name": "alone"}), quiet
    )
    assert any(bool(value.any()) for key, value in weights(alone.file).items() if "lora_up" in key)


def test_accumulate_0_gathers_as_many_batches_as_there_are_buckets(prepared):
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
        lower(base.unet, DTYPES[precision])
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


def test_a_reg_image_shares_every_draw_of_its_image_and_an_image_shown_again_has_its_own():
    class Blank:
        def read(self, image):
            return Latent(torch.zeros(4, 8, 8), torch.zeros(4, 8, 8))

    image = ImageView("content", Path("x.png"), Bucket.whole((64, 64)))
    reg_image = ImageView("regularization", Path("y.png"), Bucket.whole((64, 64)))
    example = Example(
        SampledImage("a", (64, 64), 1.0), "Lumi", image, "Lumi", ("Lumi",), (RegImage(reg_image, "1girl"),)
    )
    noise = NoiseOptions(noise_offset=0.1, noise_offset_random=True, ip_noise_gamma=0.1)
    drawn = draw_inputs(Batch(3, 0, (example, example)), noise, 420, Blank(), 1000)
    assert drawn.reg_images == 2
    for row in (0, 1):
        assert torch.equal(drawn.noise[row], drawn.noise[row + 2])
        assert torch.equal(drawn.mixed[row], drawn.mixed[row + 2])
        assert drawn.times[row] == drawn.times[row + 2]
    assert not torch.equal(drawn.noise[0], drawn.noise[1])
    assert drawn.times[0] != drawn.times[1]


def test_an_unset_bucket_decision_is_refused(prepared):
    with prepared.transaction():
        prepared.put_decisions(
            prepared.begin_run("test", {}, ""), ("bucket",), [decided("x", "bucket", Bucket.whole((8, 8)))]
        )
    with pytest.raises(PrepError, match="have no bucket"):
        examples(prepared, make_recipe(**QUICK).dataset)


def test_a_disk_that_is_full_at_the_end_loses_the_state_and_not_the_adapter(prepared, monkeypatch):
    def full(file, state, digest):
        raise PrepError("the state cannot be written", "make room")

    monkeypatch.setattr("train.loop.save_state", full)
    with pytest.raises(PrepError, match="the state cannot be written"):
        train_adapter(prepared, make_recipe(**QUICK | {"steps": 1, "save_state_every": 100}), quiet)
    assert weights(prepared.root / "runs/adapter/adapter.safetensors")


def test_a_run_that_does_not_fit_on_the_disk_is_refused_before_anything_is_written(prepared, monkeypatch):
    monkeypatch.setattr("pipeline.core.disk_space.free_bytes", lambda path: 1000)
    with pytest.raises(PrepError, match=r"the run needs .* on the disk of .*, which has 1 kB free"):
        train_adapter(prepared, make_recipe(**QUICK), quiet)
    assert not (prepared.root / "runs").exists()


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
