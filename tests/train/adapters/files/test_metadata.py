"""What adapter files say about themselves, and the hashes they are known by."""

import hashlib
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save

from train.adapters.files.layer import Layer
from train.adapters.files.writer import writing
from train.adapters.metadata import published_name, renewed, write_adapter
from train.options.recipe import Recipe, make_recipe
from train.published import adapter_metadata
from train.run.adapter_metadata import TrainedFacts

FACTS = {
    "family": "sd1",
    "v_prediction": False,
    "steps": 120,
    "epochs": 10,
    "planned": (240, 20),
    "images": 40,
    "reg_images": 3,
    "buckets": {(64, 96): 4, (96, 64): 9},
    "frequency": {"Lumi": {"red hat": 4, "Lumi": 2, "LUMI": 1}},
    "repeats": {"Lumi": [2, 2, 3.5], "Nox": [1]},
    "resolution": 512,
    "base_digest": "ab" * 32,
    "optimizer": "torch.optim.AdamW()",
    "gradient_accumulation_steps": 4,
    "updates": (30, 60),
    "triggers": ["Lumi", "Nox"],
}


def summarized(recipe: Recipe | None = None, **changes) -> dict[str, str]:
    return adapter_metadata(recipe or make_recipe(), TrainedFacts(**FACTS | changes))


def test_all_values_are_texts_and_tables_are_json():
    found = summarized()
    assert all(isinstance(value, str) for value in found.values())
    assert json.loads(found["ss_tag_frequency"]) == {"Lumi": {"red hat": 4, "lumi": 3}}
    assert json.loads(found["ss_bucket_info"])["buckets"]["1"] == {"resolution": [96, 64], "count": 9}
    assert (found["ss_steps"], found["ss_max_train_steps"]) == ("30", "60")
    assert (found["ss_epoch"], found["ss_num_epochs"]) == ("10", "20")
    assert found["ss_num_batches_per_epoch"] == "12"
    assert found["modelspec.trigger_phrase"] == "Lumi, Nox"
    assert found["modelspec.resolution"] == "96x64"
    assert found["modelspec.implementation_version"].startswith("lora-prep/")


@pytest.mark.parametrize(
    ("family", "velocity", "version", "v2", "architecture"),
    [
        ("sd1", False, "sd_v1", "False", "stable-diffusion-v1/lora"),
        ("sd1", True, "sd_v1_v", "False", "stable-diffusion-v1/lora"),
        ("sd2", False, "sd_v2", "True", "stable-diffusion-v2-512/lora"),
        ("sd2", True, "sd_v2_v", "True", "stable-diffusion-v2-768-v/lora"),
        ("sdxl", False, "sdxl_base_v1-0", "False", "stable-diffusion-xl-v1-base/lora"),
        ("sdxl", True, "sdxl_base_v1-0", "False", "stable-diffusion-xl-v1-base/lora"),
    ],
)
def test_the_family_is_reported_in_the_words_a1111_sorts_by(family, velocity, version, v2, architecture):
    found = summarized(family=family, v_prediction=velocity)
    assert (found["ss_base_model_version"], found["ss_v2"]) == (version, v2)
    assert found["modelspec.architecture"] == architecture
    assert found["modelspec.prediction_type"] == ("v" if velocity else "epsilon")


def test_the_network_is_reported_as_kohya_and_lycoris_name_it():
    assert summarized()["ss_network_module"] == "networks.lora"
    assert summarized()["ss_network_args"] == "{}"
    kron = summarized(make_recipe(algorithm="lokr", factor=4, rank=8, alpha=2.0, dora=True))
    assert kron["ss_network_module"] == "lycoris.kohya"
    arguments = json.loads(kron["ss_network_args"])
    assert (arguments["algo"], arguments["factor"], arguments["dora_wd"], arguments["wd_on_output"]) == (
        "lokr",
        4,
        True,
        False,
    )
    assert json.loads(summarized(make_recipe(algorithm="oft"))["ss_network_args"])["algo"] == "diag-oft"


def test_models_are_named_without_a_folder_and_by_both_hashes_of_a_single_file(tmp_path):
    names = {"ss_sd_model_name", "ss_sd_model_hash", "ss_new_sd_model_hash"}
    assert names & summarized().keys() == {"ss_sd_model_name"}
    base, vae = tmp_path / "lucy" / "model.safetensors", tmp_path / "vae.pt"
    base.parent.mkdir()
    raw = bytes(range(256)) * 0x1200
    base.write_bytes(raw)
    vae.write_bytes(b"vae")
    found = summarized(make_recipe(base=str(base), vae=str(vae)))
    assert found["ss_sd_model_name"] == "model.safetensors"
    assert found["ss_sd_model_hash"] == hashlib.sha256(raw[0x100000:0x110000]).hexdigest()[:8]
    assert found["ss_new_sd_model_hash"] == hashlib.sha256(raw).hexdigest()
    assert (found["ss_vae_name"], found["ss_new_vae_hash"]) == ("vae.pt", hashlib.sha256(b"vae").hexdigest())
    assert found["ss_vae_hash"] == hashlib.sha256(b"").hexdigest()[:8]
    assert not any("lucy" in value or str(tmp_path) in value for value in found.values())


@pytest.mark.parametrize(
    ("given", "published"),
    [("OWNER/name-v1.5", "OWNER/name-v1.5"), ("stabilityai/vae@abc", "stabilityai/vae@abc"), ("miniature", "miniature"),
     ("/home/lucy/models/mine", "mine"), ("C:\\Users\\lucy\\m.ckpt", "m.ckpt"), ("~/sd/", "sd"), ("./mine", "mine"),
     ("~", ""), ("lucy/m.safetensors", "m.safetensors"), ("a/b/c", "c")],
)  # fmt: skip
def test_a_published_name_is_a_repository_or_the_last_part_of_a_path(given, published):
    assert published_name(given) == published
    assert renewed({"ss_sd_model_name": given}, "n", "", {})["ss_sd_model_name"] == published


def test_concepts_are_reported_as_kohyas_folders():
    found = summarized()
    assert json.loads(found["ss_dataset_dirs"]) == {
        "Lumi": {"n_repeats": 2.5, "img_count": 3},
        "Nox": {"n_repeats": 1, "img_count": 1},
    }
    assert found["ss_resolution"] == "(512, 512)"


def test_sdxl_has_no_encoder_layer_as_its_states_are_always_of_the_last_but_one():
    assert summarized()["modelspec.encoder_layer"] == "1"
    assert "modelspec.encoder_layer" not in summarized(family="sdxl")


def test_a_file_made_from_another_keeps_what_it_says_but_for_hashes_and_name():
    before = {"ss_seed": "7", "sshs_model_hash": "x", "sshs_legacy_hash": "y", "modelspec.hash_sha256": "z"}
    found = renewed(before, "new", "sdxl", {"ss_network_dim": 4})
    assert found["ss_seed"] == "7"
    assert found["ss_output_name"] == found["modelspec.title"] == "new"
    assert found["ss_network_dim"] == "4"
    assert found["ss_base_model_version"] == "sdxl_base_v1-0"
    assert not {"sshs_model_hash", "sshs_legacy_hash", "modelspec.hash_sha256"} & found.keys()
    assert renewed({"ss_base_model_version": "sd_v1"}, "n", "sdxl", {})["ss_base_model_version"] == "sd_v1"


def tensors(size: int = 200_000) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        "b.half": torch.randn(size).half(),
        "a.whole": torch.randn(size, 2),
        "c.scalar": torch.tensor(3.0),
        "d.number": torch.tensor(7),
        "e.brain": torch.randn(3, 5).bfloat16(),
        "f.flag": torch.tensor([True, False]),
    }


def test_a_written_file_holds_the_very_tensors_and_metadata(tmp_path):
    metadata = {"ss_output_name": '✨ "x" \\ [/bold]\n', "modelspec.title": "t"}
    write_adapter(tmp_path / "a.safetensors", tensors(), metadata)
    found = load_file(tmp_path / "a.safetensors")
    assert found.keys() == tensors().keys()
    assert all(
        torch.equal(found[key], tensor) and found[key].dtype == tensor.dtype for key, tensor in tensors().items()
    )
    with safe_open(tmp_path / "a.safetensors", framework="pt") as opened:
        assert metadata.items() <= opened.metadata().items()
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_both_hashes_are_those_of_the_library_s_own_serialization(tmp_path):
    metadata = {"ss_output_name": "é", "ss_seed": "1", "modelspec.title": "t" * 500}
    write_adapter(tmp_path / "a.safetensors", tensors(), metadata)
    raw = save(tensors(), {key: value for key, value in metadata.items() if key.startswith("ss_")})
    length = int.from_bytes(raw[:8], "little")
    with safe_open(tmp_path / "a.safetensors", framework="pt") as opened:
        found = opened.metadata()
    assert found["sshs_model_hash"] == hashlib.sha256(raw[8 + length :]).hexdigest()
    assert found["sshs_legacy_hash"] == hashlib.sha256(raw[0x100000:0x110000]).hexdigest()[:8]
    assert len(raw) > 0x110000


def test_the_same_tensors_in_any_order_give_the_same_bytes(tmp_path):
    for name, order in (("a", 1), ("b", -1)):
        write_adapter(tmp_path / name, dict(list(tensors().items())[::order]), {"x": "y"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_alpha_stays_exact_where_the_precision_would_round_it(tmp_path):
    layer = Layer("lora_unet_conv_in", "lora", {"alpha": torch.tensor(289.0), "lora_up.weight": torch.ones(2, 289)})
    with writing(tmp_path / "a.safetensors") as out:
        out.add_layer(layer, torch.bfloat16)
    found = load_file(tmp_path / "a.safetensors")
    assert float(found["lora_unet_conv_in.alpha"]) == 289.0
    assert found["lora_unet_conv_in.lora_up.weight"].dtype == torch.bfloat16


def test_a_writing_that_fails_leaves_nothing_and_what_was_there(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"before")
    with pytest.raises(RuntimeError, match="on purpose"), writing(tmp_path / "a.safetensors") as out:
        out.add("x", torch.ones(3))
        raise RuntimeError("on purpose")
    assert (tmp_path / "a.safetensors").read_bytes() == b"before"
    assert len(list(tmp_path.iterdir())) == 1


def test_every_key_is_one_that_kohya_the_model_spec_or_prep_has():
    found = summarized()
    assert {key.split("_")[0].split(".")[0] for key in found} == {"ss", "modelspec", "prep"}
    assert found["modelspec.implementation_version"] == f"lora-prep/{found['prep_version']}"
