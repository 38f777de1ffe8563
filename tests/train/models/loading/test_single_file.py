"""Single files: equal to folders, distinguished, and refused where they should be."""

import json
import pickle
import sys
import types
from pathlib import Path

import pytest
import torch
from tiny_models import SCHEDULER, VOCABULARY, single_tensors, tiny_family, tiny_pipeline, write_single

from pipeline.core.errors import PrepError
from pipeline.core.files import file_digest
from train.models.load import load_base
from train.models.loading import hashes
from train.models.loading.detect import declared, family_of, one_prediction
from train.models.loading.hashes import remembered_digest
from train.models.loading.vocabulary import PINNED, vocabulary_folder
from train.models.locate import find_vae, folder_digest
from train.models.text.text_encoding import text_conditioning

NAMES = ["sd1", "sd2", "sdxl"]


@pytest.fixture(scope="module")
def tensors():
    return {name: single_tensors(name, tiny_pipeline(name)) for name in NAMES}


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """The shipped architectures made tiny."""
    families = {name: tiny_family(name, tmp_path) for name in NAMES}
    monkeypatch.setattr("train.models.loading.single_file.FAMILIES", families)


def load(file: Path, **more):
    return load_base(str(file), device="cpu", **{"tokenizer": VOCABULARY, "prediction": "epsilon"} | more)


def parts(base):
    return (base.unet, base.vae, *base.text_encoders)


def same_weights(one, other):
    for left, right in zip(parts(one), parts(other), strict=True):
        left, right = left.state_dict(), right.state_dict()
        assert left.keys() == right.keys()
        assert all(torch.equal(left[key], right[key]) for key in left)


# --- equal to folders


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
        for key, value in one.state_dict().items():
            assert torch.allclose(value, two.state_dict()[key], rtol=1e-6)
            assert float((value - plain.state_dict()[key]).norm()) <= 0.05 * float(plain.state_dict()[key].norm())


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


# --- reported apart


@pytest.mark.parametrize("name", NAMES)
def test_the_family_is_reported_from_the_names(name, tensors):
    shapes = {key: tuple(value.shape) for key, value in tensors[name].items()}
    assert family_of(Path("x.safetensors"), shapes).name == name


@pytest.mark.parametrize(
    ("shapes", "word"),
    [
        ({"conditioner.embedders.0.model.ln_final.weight": (1280,)}, "refiner"),
        ({"model.diffusion_model.joint_blocks.0.x": (1,)}, "Stable Diffusion 3"),
        ({"double_blocks.0.img_attn.qkv.weight": (1,)}, "FLUX"),
        ({"lora_unet_down_blocks_0.alpha": ()}, "an adapter"),
        ({"unet.down_blocks.0.attentions.0.proj_in.lora_A.weight": (1,)}, "an adapter"),
        ({"base_model.model.mid_block.x.lora_B.default.weight": (1,)}, "an adapter"),
        ({"down_blocks.0.attn1.processor.to_q_lora.down.weight": (1,)}, "an adapter"),
        ({"text_encoder.mlp.fc1.lora_linear_layer.up.weight": (1,)}, "an adapter"),
        ({"diffusion_model.input_blocks.1.1.proj_in.lora_up.weight": (1,)}, "an adapter"),
        ({"model_ema.diffusion_modelinput_blocks00weight": (1,)}, "averaged"),
        ({"emb_params": (1,)}, "textual inversion"),
        ({"encoder.down.0.block.0.norm1.weight": (1,)}, "VAE"),
        ({"first_stage_model.encoder.conv_in.weight": (1,)}, "VAE"),
        ({"down_blocks.0.resnets.0.conv1.weight": (1,)}, "diffusers format"),
        ({"model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3)}, "a text encoder is missing"),
        (
            {
                "model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3),
                "conditioner.embedders.0.model.ln_final.weight": (1280,),
            },
            "refiner",
        ),
        (
            {
                "model.diffusion_model.input_blocks.0.0.weight": (320, 9, 3, 3),
                "cond_stage_model.transformer.text_model.final_layer_norm.weight": (768,),
            },
            "inpainting",
        ),
        (
            {
                "model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3),
                "conditioner.embedders.0.transformer.text_model.final_layer_norm.weight": (768,),
                "conditioner.embedders.1.model.ln_final.weight": (1280,),
                "edm_mean": (4,),
            },
            "EDM",
        ),
        ({"blocks.0.weight": (1,)}, "blocks.0.weight"),
    ],
)
def test_what_is_no_base_model_is_called_by_its_name(shapes, word):
    with pytest.raises(PrepError, match=word):
        family_of(Path("x.safetensors"), shapes)


@pytest.mark.parametrize(
    ("names", "metadata", "yaml", "prediction", "zero"),
    [
        ((), {}, None, None, False),
        (("v_pred",), {}, None, "v_prediction", False),
        (("v_pred", "ztsnr"), {}, None, "v_prediction", True),
        ((), {"modelspec.prediction_type": "v"}, None, "v_prediction", False),
        ((), {"modelspec.prediction_type": "epsilon"}, None, "epsilon", False),
        ((), {"modelspec.architecture": "stable-diffusion-v2-768-v"}, None, "v_prediction", False),
        ((), {"modelspec.architecture": "stable-diffusion-v2-512"}, None, "epsilon", False),
        ((), {"modelspec.architecture": "stable-diffusion-xl-v1-base"}, None, None, False),
        ((), {}, 'model: {params: {parameterization: "v"}}', "v_prediction", False),
        ((), {}, "model: {params: {linear_start: 0.00085}}", "epsilon", False),
        (
            (),
            {},
            "model: {params: {denoiser_config: {params: {scaling_config: {target: a.b.VScaling}}}}}",
            "v_prediction",
            False,
        ),
        (("v_pred",), {"modelspec.prediction_type": "v"}, None, "v_prediction", False),
    ],
)
def test_the_prediction_is_what_the_file_says(names, metadata, yaml, prediction, zero, tmp_path):
    file = tmp_path / "model.safetensors"
    if yaml:
        file.with_suffix(".yaml").write_text(yaml, encoding="utf-8")
    reported = declared(file, dict.fromkeys(names, ()), metadata)
    assert (one_prediction(file, reported), reported.zero_terminal) == (prediction, zero)


def test_a_file_that_says_both_or_something_unknown_is_asked_about(tmp_path):
    file = tmp_path / "model.safetensors"
    both = declared(file, {"v_pred": ()}, {"modelspec.prediction_type": "epsilon"})
    with pytest.raises(PrepError, match=r"says both: v_prediction \(its tensor v_pred\) and epsilon") as caught:
        one_prediction(file, both)
    assert one_prediction(file, both, asked=True) is None
    assert "prediction = epsilon" in caught.value.hint
    with pytest.raises(PrepError, match="'flow'"):
        declared(file, {}, {"modelspec.prediction_type": "flow"})
    for yaml in ("model: [1]", "{", "- a", "model: {params: 3}"):
        file.with_suffix(".yaml").write_text(yaml, encoding="utf-8")
        with pytest.raises(PrepError, match="no yaml of a model"):
            declared(file, {}, {})


def test_markers_make_a_schedule_that_ends_in_pure_noise(tensors, tiny, tmp_path):
    marked = tensors["sdxl"] | {"v_pred": torch.empty(0), "ztsnr": torch.empty(0)}
    base = load(write_single(tmp_path / "model.safetensors", marked), prediction="auto")
    assert base.prediction == "v_prediction" and base.zero_terminal_snr
    assert base.alphas_cumprod[-1] == 0 and base.alphas_cumprod[0] == pytest.approx(1 - SCHEDULER["beta_start"])
    overruled = load(tmp_path / "model.safetensors", prediction="epsilon")
    assert overruled.prediction == "epsilon" and "predicts v_prediction; epsilon was asked" in overruled.warnings[0]


def test_a_file_that_says_nothing_and_shows_nothing_is_asked_about(tensors, tiny, tmp_path):
    file = write_single(tmp_path / "model.safetensors", tensors["sd2"])
    with pytest.raises(PrepError, match="cannot be inferred") as caught:
        load(file, prediction="auto")
    assert "prediction = v_prediction" in caught.value.hint


def test_what_the_unet_shows_is_taken_and_said(tmp_path, monkeypatch):
    miniature = load_base("miniature", device="cpu")
    configs = {
        "unet": dict(miniature.unet.config),
        "vae": dict(miniature.vae.config),
        "text_encoder": miniature.text_encoder.config.to_dict(),
        "scheduler": SCHEDULER,
    }
    monkeypatch.setattr("train.models.families.family.Family.configs", lambda self: configs)
    pipeline = types.SimpleNamespace(unet=miniature.unet, vae=miniature.vae, text_encoder=miniature.text_encoder)
    vae = {"vae": str(miniature.folder / "vae")}  # the miniature's has no attention, which single files have
    tensors = {key: value for key, value in single_tensors("sd1", pipeline).items() if "first_stage" not in key}
    base = load(write_single(tmp_path / "model.safetensors", tensors), prediction="auto", **vae)
    assert base.prediction == "epsilon"
    assert len(base.warnings) == 1 and "epsilon was measured" in base.warnings[0]
    same_weights(base, miniature)


# --- refused


@pytest.mark.parametrize("name", ["adapter_config.json", "pytorch_lora_weights.safetensors"])
def test_the_folder_of_an_adapter_is_called_one(name, tmp_path):
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(PrepError, match=f"is an adapter, no base model: it holds {name}"):
        load_base(str(tmp_path), device="cpu")


class Runs:
    def __reduce__(self):
        return (exec, ("import pathlib; pathlib.Path('ran').touch()",))


def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"a": torch.ones(1)}, "extra": Runs()}, "model.ckpt")
    Path("old.ckpt").write_bytes(pickle.dumps({"state_dict": Runs()}))
    for name in ("model.ckpt", "old.ckpt"):
        with pytest.raises(PrepError, match="would run code") as caught:
            load(tmp_path / name)
        assert "safetensors" in caught.value.hint
    assert not Path("ran").exists()


def test_a_truncated_file_is_called_cut_off(tensors, tmp_path):
    file = write_single(tmp_path / "model.safetensors", tensors["sd1"])
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(PrepError, match="cut off"):
        load(file)
    file = tmp_path / "model.ckpt"
    torch.save(tensors["sd1"], file)
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(PrepError, match=r"model\.ckpt"):
        load(file)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
        b"<html>not found</html>",
        b"\x10\0\0\0\0\0\0\0{not json at all",
        b"\xff" * 64,
        b"\x02\0\0\0\0\0\0\0[]",
    ],
)
@pytest.mark.parametrize("ending", ["safetensors", "ckpt"])
def test_what_is_no_file_of_weights_is_refused(content, ending, tmp_path):
    file = tmp_path / f"model.{ending}"
    file.write_bytes(content)
    with pytest.raises(PrepError, match=rf"model\.{ending}"):
        load(file)


def test_weights_that_are_missing_too_many_or_of_another_shape_are_named(tensors, tiny, tmp_path):
    whole, (one, two, three) = tensors["sd1"], (tmp_path / f"{name}.safetensors" for name in "abc")
    key = "model.diffusion_model.out.2.weight"
    with pytest.raises(
        PrepError, match=r"lacks model\.diffusion_model\.out\.2\.weight of Stable Diffusion 1\.x's UNet"
    ):
        load(write_single(one, {name: value for name, value in whole.items() if name != key}))
    with pytest.raises(PrepError, match=r"out\.2\.weight \(\(4, 8, 3, 3\), not \(4, 16, 3, 3\)\)"):
        load(write_single(two, whole | {key: torch.zeros(4, 8, 3, 3)}))
    with pytest.raises(PrepError, match="has layers that Stable Diffusion 1"):
        load(write_single(three, whole | {"model.diffusion_model.input_blocks.99.0.weight": torch.zeros(1)}))


def test_the_full_architecture_is_asked_of_a_file_where_none_is_given(tensors, tmp_path):
    with pytest.raises(PrepError, match=r"does not fit|lacks"):
        load(write_single(tmp_path / "model.safetensors", tensors["sd1"]), tokenizer=full_vocabulary(tmp_path))


def full_vocabulary(folder: Path) -> Path:
    """A vocabulary of CLIP's size."""
    (folder / "clip").mkdir()
    known = json.loads((VOCABULARY / "vocab.json").read_text(encoding="utf-8"))
    special = {name: known.pop(name) for name in ("<|startoftext|>", "<|endoftext|>")}
    words = [*known, *[f"zz{number}</w>" for number in range(49408 - len(known) - len(special))], *special]
    text = json.dumps({word: place for place, word in enumerate(words)})
    (folder / "clip" / "vocab.json").write_text(text, encoding="utf-8")
    (folder / "clip" / "merges.txt").write_bytes((VOCABULARY / "merges.txt").read_bytes())
    return folder / "clip"


# --- tokenizers


def test_a_missing_tokenizer_is_said_so_with_the_option_to_give(tensors, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    file = write_single(tmp_path / "model.safetensors", tensors["sd1"])
    with pytest.raises(PrepError, match="holds no tokenizer") as caught:
        load(file, tokenizer=None)
    assert "tokenizer = FOLDER" in caught.value.hint
    with pytest.raises(PrepError, match="holds no tokenizer"):
        vocabulary_folder(file, None, download=False)
    with pytest.raises(PrepError, match=r"holds no vocab\.json and merges\.txt"):
        load(file, tokenizer=tmp_path)


def test_what_is_fetched_is_pinned_and_found_again_without_the_hub(tmp_path, monkeypatch):
    snapshot = tmp_path / "hub" / "models--openai--clip-vit-large-patch14" / "snapshots" / PINNED
    asked = []

    def fetched(repository: str, name: str, revision: str | None) -> str:
        asked.append((repository, name, revision))
        snapshot.mkdir(parents=True, exist_ok=True)
        (snapshot / name).write_bytes((VOCABULARY / name).read_bytes())
        return str(snapshot / name)

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.hf_hub_download", fetched)
    file = tmp_path / "model.safetensors"
    assert vocabulary_folder(file) == vocabulary_folder(file, download=False) == snapshot
    assert asked == [("openai/clip-vit-large-patch14", name, PINNED) for name in ("vocab.json", "merges.txt")]


def test_a_vae_of_the_hub_can_be_pinned(tmp_path, monkeypatch):
    asked = []
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download",
        lambda name, revision, **_: asked.append((name, revision)) or str(tmp_path),
    )
    assert find_vae("madebyollin/sdxl-vae-fp16-fix@207b116") == find_vae("stabilityai/sd-vae-ft-mse") == tmp_path
    assert asked == [("madebyollin/sdxl-vae-fp16-fix", "207b116"), ("stabilityai/sd-vae-ft-mse", None)]


def test_a_tokenizer_beside_the_file_or_in_the_hubs_cache_is_found(tmp_path, monkeypatch):
    file, beside = tmp_path / "model.safetensors", tmp_path / "tokenizer"
    snapshot = tmp_path / "hub" / "models--openai--clip-vit-large-patch14" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("abc", encoding="utf-8")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("vocab.json", "merges.txt"):
        (snapshot / name).write_bytes((VOCABULARY / name).read_bytes())
    assert vocabulary_folder(file, None, download=False) == snapshot
    beside.mkdir()
    for name in ("vocab.json", "merges.txt"):
        (beside / name).write_bytes((VOCABULARY / name).read_bytes())
    assert vocabulary_folder(file, None, download=False) == beside
    assert vocabulary_folder(file, tmp_path) == beside, "a model's folder is as good as its tokenizer's"


def test_a_tokenizer_of_another_vocabulary_is_refused(tensors, tiny, tmp_path):
    file = write_single(tmp_path / "model.safetensors", tensors["sd1"])
    with pytest.raises(PrepError, match="49408 tokens, the text encoder knows 732"):
        load(file, tokenizer=full_vocabulary(tmp_path))


# --- another VAE


def test_another_vae_comes_from_a_folder_a_model_or_a_file_and_changes_what_depends_on_it(tensors, tiny, tmp_path):
    pipeline = tiny_pipeline("sd1")
    with torch.no_grad():
        for weight in pipeline.vae.parameters():
            weight.mul_(0.5)
    pipeline.save_pretrained(tmp_path / "folder")
    first = {
        key: value for key, value in single_tensors("sd1", pipeline).items() if key.startswith("first_stage_model.")
    }
    bare = {key.removeprefix("first_stage_model."): value for key, value in first.items()}
    file = write_single(tmp_path / "model.safetensors", tensors["sd1"])
    plain, digests = load(file), set()
    for number, vae in enumerate(
        (
            tmp_path / "folder",
            tmp_path / "folder" / "vae",
            write_single(tmp_path / "first.safetensors", first),
            write_single(tmp_path / "bare.safetensors", bare),
        )
    ):
        base = load(file, vae=str(vae))
        assert all(
            torch.equal(base.vae.state_dict()[key], pipeline.vae.state_dict()[key]) for key in base.vae.state_dict()
        )
        assert base.files_digest == plain.digest != base.digest, number
        digests |= {base.vae_digest, base.digest}
    assert len(digests) == 2 and plain.vae_digest not in digests


def test_a_file_without_a_vae_needs_one(tensors, tiny, tmp_path):
    without = {key: value for key, value in tensors["sd1"].items() if not key.startswith("first_stage_model.")}
    file = write_single(tmp_path / "model.safetensors", without)
    with pytest.raises(PrepError, match="holds no VAE") as caught:
        load(file)
    assert "vae =" in caught.value.hint
    vae = write_single(tmp_path / "vae.safetensors", tensors["sd1"])
    assert load(file, vae=str(vae)).vae_digest == load(vae).vae_digest


def test_a_vae_that_scales_otherwise_or_is_none_is_refused(tensors, tiny, tmp_path):
    pipeline = tiny_pipeline("sd1")
    pipeline.vae.register_to_config(scaling_factor=0.13025)
    pipeline.vae.save_pretrained(tmp_path / "vae")
    file = write_single(tmp_path / "model.safetensors", tensors["sd1"])
    with pytest.raises(PrepError, match=r"scaling_factor 0\.13025, the base model was made with 0\.18215"):
        load(file, vae=str(tmp_path / "vae"))
    with pytest.raises(PrepError, match="diffusers format without its config"):
        load(file, vae=str(tmp_path / "vae" / "diffusion_pytorch_model.safetensors"))
    for name, word in (("nothing.safetensors", "there is no VAE"), ("no such", "neither a folder")):
        with pytest.raises(PrepError, match=word):
            load(file, vae=name)
    text = {"cond_stage_model.x": torch.zeros(1)}
    with pytest.raises(PrepError, match="holds no VAE"):
        load(file, vae=str(write_single(tmp_path / "text.safetensors", text)))


# --- hashes


def test_a_hash_is_computed_once_and_anew_when_the_file_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(hashes, "LARGE", 1)
    read = []
    monkeypatch.setattr(hashes, "file_digest", lambda path: read.append(path) or file_digest(path))
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"abc")
    assert remembered_digest(file) == remembered_digest(file) == folder_digest(file) == file_digest(file)
    assert len(read) == 1
    file.write_bytes(b"abcd")
    assert remembered_digest(file) == file_digest(file) and len(read) == 2
    (note,) = (tmp_path / "cache").rglob("*.json")
    for damage in ("", "[]", '{"sha256": 3}', note.read_text(encoding="utf-8").replace('"size": 4', '"size": 5')):
        note.write_text(damage, encoding="utf-8")
        assert remembered_digest(file) == file_digest(file)
    assert len(read) == 6


def test_a_hash_that_cannot_be_remembered_is_computed_all_the_same(tmp_path, monkeypatch):
    blocked = tmp_path / "cache"
    blocked.write_text("no folder", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    monkeypatch.setattr(hashes, "LARGE", 1)
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"abc")
    assert remembered_digest(file) == file_digest(file)


def test_a_place_that_is_no_model_has_no_digest(tmp_path):
    with pytest.raises(PrepError, match="no model at"):
        folder_digest(tmp_path / "nothing" / "vae")
