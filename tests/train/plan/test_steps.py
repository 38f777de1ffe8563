import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_sets import SIZES, exposures_of, planned, sets
from safetensors.torch import save_file

from pipeline.core.errors import PrepError
from pipeline.core.humanize import in_gib, in_words
from train.adapters.adapter import Adapter, AdapterConfig
from train.adapters.count.planned import planned_figures
from train.data.options import BatchOptions
from train.data.sampler import ExposureCounts, SampledImage, exposures, offsets
from train.models.load import load_base
from train.models.locate import find_folder
from train.models.shapes import parameter_count
from train.plan.base_shapes import base_shapes
from train.plan.space import latent_bytes
from train.plan.steps import training_schedule


@settings(max_examples=60, deadline=None)
@given(sets(), st.integers(1, 8), st.integers(0, 5), st.integers(1, 4), st.one_of(st.none(), st.integers(1, 50)))
def test_the_schedule_of_a_run_is_what_the_trainer_goes_through(entries, size, seed, epochs, steps):
    entries = [*entries, SampledImage("whole", SIZES[0], 1.0)]
    run = training_schedule(entries, BatchOptions(batch_size=size, epochs=epochs, steps=steps), seed)
    batches = planned(entries, batch_size=size, seed=seed, epochs=epochs, steps=steps)
    shown = exposures_of(batches)
    assert run.steps == len(batches)
    assert run.exposures.tolist() == [shown[entry.key] for entry in entries]
    assert run.full == sum(len(keys) == size for _, _, keys in batches)
    assert run.full + run.partial == run.steps
    last = batches[-1][1]
    beyond = sum(epoch == last for _, epoch, _ in batches)
    assert (run.epochs, run.beyond) in ((last + 1, 0), (last, beyond))
    assert run.beyond == 0 or run.beyond == beyond


@settings(max_examples=60, deadline=None)
@given(sets(), st.integers(0, 5), st.integers(0, 2000))
def test_counted_at_once_exposures_are_those_of_one_image_after_another(entries, seed, epoch):
    start = offsets(entries, seed)
    counter = ExposureCounts(entries, seed)
    both = counter.until(epoch + 1) - counter.until(epoch)
    assert both.tolist() == [exposures(entry.repeats, start[entry.key], epoch) for entry in entries]


def test_a_million_epochs_of_large_repeats_do_not_overflow():
    entries = [SampledImage(f"{number:06}", SIZES[0], 999.999999) for number in range(1000)]
    assert int(ExposureCounts(entries, 0).until(10**6).max()) in (999_999_999, 1_000_000_000)


def test_a_run_that_shows_nothing_is_refused():
    with pytest.raises(PrepError, match="all repeats are 0"):
        training_schedule([SampledImage("a", SIZES[0], 0.0)], BatchOptions(epochs=10, steps=5), 0)
    with pytest.raises(PrepError, match="no image is shown in 1 epochs") as caught:
        training_schedule([SampledImage(str(number), SIZES[0], 0.01) for number in range(3)], BatchOptions(epochs=1), 0)
    assert caught.value.hint == "give more epochs"


def test_a_hundred_thousand_images_are_counted_as_one_is():
    entries = [SampledImage(f"{number:06}", SIZES[number % 4], 1.5) for number in range(100_000)]
    run = training_schedule(entries, BatchOptions(batch_size=8, epochs=2), 1)
    assert np.unique(run.exposures).tolist() == [3] and run.full * 8 <= 300_000 <= run.steps * 8


# --- disk and memory


@pytest.mark.parametrize("algorithm", ["lora", "locon", "loha"])
@pytest.mark.parametrize("text_encoder", [False, True])
def test_an_adapters_parameters_are_those_of_the_adapter_that_is_attached(algorithm, text_encoder):
    base = load_base("miniature", device="cpu")
    convolutions = algorithm != "lora"
    shape = AdapterConfig(
        algorithm=algorithm, rank=4, alpha=1.0, convolutions=convolutions, conv_rank=2, text_encoder=text_encoder
    )
    adapter = Adapter(shape, base.unet, base.text_encoder)
    shapes = base_shapes(find_folder("miniature", None))
    parts = planned_figures(shapes, shape)
    assert sum(part.modules for part in parts) == len(adapter.layers)
    assert sum(part.parameters for part in parts) == sum(weight.numel() for weight in adapter.parameters())
    for model, of_model in ((base.unet, shapes.unet), (base.vae, shapes.vae), (base.text_encoder, shapes.text)):
        assert parameter_count(of_model) == sum(weight.numel() for weight in model.parameters())
    assert (shapes.factor, shapes.latent_channels, shapes.text_width) == (base.latent_factor, 4, 128)


def test_latents_by_hand():
    assert latent_bytes([(512, 512), (448, 576)]) == 2 * 4 * 4 * (64 * 64 + 56 * 72)
    assert latent_bytes([(64, 64)], factor=4) == 2 * 4 * 4 * 16 * 16


def test_bytes_in_words():
    assert [in_words(number) for number in (0, 999, 1500, 2_300_000, 4_700_000_000, 5e12)] == [
        "0 bytes",
        "999 bytes",
        "1.5 kB",
        "2.3 MB",
        "4.7 GB",
        "5 TB",
    ]


def test_memory_in_words():
    assert [in_gib(size) for size in (2**30, 7.5 * 2**30, 2**28, 0)] == ["1.0 GiB", "7.5 GiB", "0.25 GiB", "0 GiB"]


@pytest.mark.parametrize("harm", ["config", "header", "weights", "list"])
def test_a_base_model_that_cannot_be_read_is_none(tmp_path, harm):
    for part, config in (
        ("unet", {"block_out_channels": [64]}),
        ("vae", {"block_out_channels": [24, 48, 64]}),
        ("text_encoder", {"hidden_size": 128}),
    ):
        header = json.dumps({"w.weight": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}}).encode()
        (tmp_path / part).mkdir()
        (tmp_path / part / "config.json").write_text(json.dumps(config), encoding="utf-8")
        file = tmp_path / part / "model.safetensors"
        file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(12))
    assert base_shapes(tmp_path).unet == {"w.weight": (2, 3)}
    if harm == "config":
        (tmp_path / "vae/config.json").write_text("{", encoding="utf-8")
    elif harm == "list":
        (tmp_path / "vae/config.json").write_text("[]", encoding="utf-8")
    elif harm == "header":
        (tmp_path / "unet/model.safetensors").write_bytes(b"\xff" * 20)
    else:
        (tmp_path / "unet/model.safetensors").unlink()
    assert base_shapes(tmp_path) is None


def test_scales_beside_weights_of_8_bits_are_no_weights_of_the_plan(tmp_path):
    held = {
        "model.diffusion_model.input_blocks.0.0.weight": torch.zeros(320, 4, 3, 3),
        "model.diffusion_model.time_embed.0.weight": torch.zeros(8, 4).to(torch.float8_e4m3fn),
        "model.diffusion_model.time_embed.0.scale_weight": torch.ones(()),
        "cond_stage_model.transformer.text_model.final_layer_norm.weight": torch.zeros(768),
    }
    save_file(held, tmp_path / "model.safetensors")
    shapes = base_shapes(tmp_path / "model.safetensors")
    assert shapes is not None
    assert shapes.unet == {"conv_in.weight": (320, 4, 3, 3), "time_embedding.linear_1.weight": (8, 4)}
