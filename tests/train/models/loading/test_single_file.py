"""A single file is equal to the folder it was made of, however its weights are named and stored."""

import sys
import types
from pathlib import Path

import pytest
import torch
from single_files import NAMES, Runs, load, parts, same_weights
from tiny_models import tiny_pipeline, write_single

from pipeline.core.errors import PrepError
from train.models.load import load_base
from train.models.text.text_encoding import text_conditioning


@pytest.mark.parametrize("name", NAMES)
def test_a_single_file_gives_the_weights_and_the_text_states_of_the_folder(name, tensors, tiny, tmp_path):
    tiny_pipeline(name).save_pretrained(tmp_path / "folder")
    folder = load_base(str(tmp_path / "folder"), device="cpu")
    base = load(write_single(tmp_path / "model.safetensors", tensors[name]))
    assert (base.family, folder.family, folder.prediction) == (name, name, "epsilon")
    same_weights(base, folder)
    assert torch.equal(base.alphas_cumprod, folder.alphas_cumprod) and not base.zero_terminal_snr
    assert base.vae_digest == folder.vae_digest
    with torch.no_grad():
        reported, wanted = (text_conditioning(each, ["Lumi, smile", ""]) for each in (base, folder))
    assert torch.equal(reported.states, wanted.states)
    assert not any(weight.requires_grad for part in parts(base) for weight in part.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_gives_the_weights_of_the_safetensors(name, tensors, tiny, tmp_path):
    file = tmp_path / "model.ckpt"
    torch.save({"state_dict": dict(tensors[name]), "global_step": 7}, file)
    same_weights(load(file), load(write_single(tmp_path / "model.safetensors", tensors[name])))


def test_loading_draws_nothing_from_the_global_generator(tensors, tiny, tmp_path):
    file, before = write_single(tmp_path / "model.safetensors", tensors["sdxl"]), torch.random.get_rng_state()
    load(file)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_half_precision_is_read_into_float32(tensors, tiny, tmp_path):
    half = {key: value.half() for key, value in tensors["sd1"].items()}
    base = load(write_single(tmp_path / "model.safetensors", half))
    weight = base.unet.state_dict()["conv_in.weight"]
    assert weight.dtype is torch.float32
    assert torch.equal(weight, half["model.diffusion_model.input_blocks.0.0.weight"].float())


def test_an_old_checkpoint_that_names_a_callback_of_lightning_is_read(tensors, tiny, tmp_path, monkeypatch):
    names = ["pytorch_lightning", "pytorch_lightning.callbacks", "pytorch_lightning.callbacks.model_checkpoint"]
    for name in names:
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    callback = type("ModelCheckpoint", (), {"__module__": names[-1]})
    sys.modules[names[-1]].ModelCheckpoint = callback
    file = tmp_path / "model.ckpt"
    torch.save({"state_dict": dict(tensors["sd1"]), "callbacks": {callback: {"monitor": "val"}}}, file)
    for name in names:
        monkeypatch.delitem(sys.modules, name)
    assert load(file).family == "sd1"


def test_names_of_novelai_and_a_projection_that_is_not_turned_over_are_read(tensors, tiny, tmp_path):
    plain = load(write_single(tmp_path / "plain.safetensors", tensors["sd1"]))
    renamed = {key.replace("transformer.text_model.", "transformer."): value for key, value in tensors["sd1"].items()}
    same_weights(load(write_single(tmp_path / "nai.safetensors", renamed)), plain)
    xl, key = dict(tensors["sdxl"]), "conditioner.embedders.1.model.text_projection"
    plain = load(write_single(tmp_path / "xl.safetensors", xl))
    xl[f"{key}.weight"] = xl.pop(key).T.contiguous()
    same_weights(load(write_single(tmp_path / "turned.safetensors", xl)), plain)


def test_the_layer_that_sd2_leaves_away_and_what_is_no_weight_of_ours_do_not_matter(tensors, tiny, tmp_path):
    more = {
        "cond_stage_model.model.transformer.resblocks.3.ln_1.weight": torch.ones(40),
        "cond_stage_model.model.logit_scale": torch.ones(()),
        "cond_stage_model.model.text_projection": torch.ones(40, 40),
        "model_ema.decay": torch.ones(()),
        "betas": torch.ones(1000),
    }
    base = load(write_single(tmp_path / "model.safetensors", tensors["sd2"] | more))
    assert base.family == "sd2" and base.text_encoder.config.num_hidden_layers == 3


@pytest.mark.parametrize(
    ("names", "word"),
    [({"q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0", "norm": "group_norm"}, "to_q"),
     ({"q": "query", "k": "key", "v": "value", "proj_out": "proj_attn", "norm": "group_norm"}, "query")],
)  # fmt: skip
def test_attention_of_the_vae_in_diffusers_words_is_read(names, word, tensors, tiny, tmp_path):
    renamed = {}
    for key, value in tensors["sd1"].items():
        start, found, rest = key.partition(".mid.attn_1.")
        layer, _, what = rest.rpartition(".")
        renamed[f"{start}{found}{names[layer]}.{what}" if found else key] = value
    assert any(f".{word}." in key for key in renamed)
    file = write_single(tmp_path / "model.safetensors", renamed)
    same_weights(load(file), load(write_single(tmp_path / "plain.safetensors", tensors["sd1"])))


@pytest.mark.parametrize("name", ["model.ckpt", "model.pt", "model.bin"])
def test_safetensors_under_the_name_of_a_pickle_are_read(name, tensors, tiny, tmp_path):
    plain = write_single(tmp_path / "plain.safetensors", tensors["sd1"])
    (tmp_path / name).write_bytes(plain.read_bytes())
    same_weights(load(tmp_path / name), load(plain))


def test_a_pickle_under_the_name_of_safetensors_is_read_as_tensors_only(tensors, tiny, tmp_path, monkeypatch):
    torch.save(dict(tensors["sd1"]), tmp_path / "model.safetensors")
    same_weights(load(tmp_path / "model.safetensors"), load(write_single(tmp_path / "b.safetensors", tensors["sd1"])))
    monkeypatch.chdir(tmp_path)
    torch.save({"a": torch.ones(1), "extra": Runs()}, "evil.safetensors")
    with pytest.raises(PrepError, match="would run code"):
        load(tmp_path / "evil.safetensors")
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("ending", "divisor", "dtype"),
    [("scale_weight", 1, torch.float8_e4m3fn), ("weight_scale", 1, torch.float8_e4m3fn), ("weight_scale", 1, torch.int8),
     ("SCB", 127, torch.int8)],
)  # fmt: skip
def test_weights_in_8_bits_are_read_with_their_scale(ending, divisor, dtype, tensors, tiny, tmp_path):
    base = load(write_single(tmp_path / "plain.safetensors", tensors["sdxl"]))
    stored, wanted = dict(tensors["sdxl"]), dict(tensors["sdxl"])
    for part in ("model.diffusion_model", "conditioner"):
        for key in [
            key for key in stored if key.startswith(part) and key.endswith(".weight") and stored[key].ndim == 2
        ]:
            largest = stored[key].abs().amax(1) if dtype is torch.int8 else stored[key].abs().max()
            scale = largest * divisor / (100.0 if dtype is torch.int8 else 400.0)
            each = (scale / divisor).reshape(-1, 1)
            stored[key] = (
                (stored[key] / each).round().to(dtype) if dtype is torch.int8 else (stored[key] / each).to(dtype)
            )
            stored[f"{key.removesuffix('weight')}{ending}"] = scale
            wanted[key] = stored[key].float() * each
    stored["model.diffusion_model.scaled_fp8"] = torch.zeros(2)
    found = load(write_single(tmp_path / "model.safetensors", stored))
    wanted = load(write_single(tmp_path / "wanted.safetensors", wanted))
    for one, two, plain in zip(parts(found), parts(wanted), parts(base), strict=True):
        wanted_weights, plain_weights = two.state_dict(), plain.state_dict()
        for key, value in one.state_dict().items():
            assert torch.allclose(value, wanted_weights[key], rtol=1e-6)
            assert float((value - plain_weights[key]).norm()) <= 0.05 * float(plain_weights[key].norm())


@pytest.mark.parametrize("more", [{"cond_stage_model.x.weight": torch.ones(2, dtype=torch.int8)},
                                  {"model.diffusion_model.out.2.weight.absmax": torch.ones(2)}])  # fmt: skip
def test_weights_quantized_otherwise_are_refused(more, tensors, tiny, tmp_path):
    with pytest.raises(PrepError, match="quantized in a way that is not read") as caught:
        load(write_single(tmp_path / "model.safetensors", tensors["sd1"] | more))
    assert "fp16" in caught.value.hint
    torch.save(tensors["sd1"] | more, tmp_path / "model.ckpt")
    with pytest.raises(PrepError, match="quantized"):
        load(tmp_path / "model.ckpt")


def test_a_scale_by_blocks_is_refused(tensors, tiny, tmp_path):
    more = {"model.diffusion_model.time_embed.0.scale_weight": torch.ones(3, 3)}
    with pytest.raises(PrepError, match=r"time_embed\.0\.scale_weight is \[3, 3\] for a weight of"):
        load(write_single(tmp_path / "model.safetensors", tensors["sd1"] | more))
