import json
import shutil

import pytest
import torch
from huggingface_hub.utils import filter_repo_objects

from pipeline.core.errors import PrepError
from train.device import pick_device
from train.models.load import load_base
from train.models.locate import find_folder


def test_the_miniature_is_there_and_is_the_stable_diffusion_1_architecture():
    base = load_base("miniature", device="cpu")
    assert type(base.unet).__name__ == "UNet2DConditionModel"
    assert base.unet.config.in_channels == base.vae.config.latent_channels == 4
    assert base.latent_factor == 4
    assert base.prediction == "epsilon"
    assert base.text_encoder.config.max_position_embeddings == 77
    assert sum(file.stat().st_size for file in base.folder.rglob("*") if file.is_file()) < 15e6


def test_a_missing_file_and_an_unknown_name_are_refused_with_what_to_type(tmp_path):
    for name, word in (("model.safetensors", "there is no base model"), ("no such model", "neither a folder")):
        with pytest.raises(PrepError, match=word) as caught:
            find_folder(name, None)
        assert "miniature" in caught.value.hint
    file = tmp_path / "model.SAFETENSORS"
    file.write_bytes(b"")
    assert find_folder(str(file), None) == file


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(PrepError, match="no diffusers model"):
        load_base(str(tmp_path), device="cpu")


@pytest.mark.parametrize(
    ("part", "key", "value", "word"),
    [
        ("unet", "in_channels", 9, "inpainting"),
        ("scheduler", "prediction_type", "sample", "'sample'"),
    ],
)
def test_a_model_that_is_trained_otherwise_is_refused(tmp_path, part, key, value, word):
    folder = tmp_path / "base"
    shutil.copytree(find_folder("miniature", None), folder)
    (file,) = (path for path in (folder / part).glob("*.json") if "index" not in path.name)
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | {key: value}), encoding="utf-8")
    with pytest.raises(PrepError, match=word):
        load_base(str(folder), device="cpu")


def test_a_folder_in_half_precision_only_is_read_and_its_prediction_can_be_overruled(tmp_path):
    folder = tmp_path / "base"
    shutil.copytree(find_folder("miniature", None), folder)
    for file in list(folder.rglob("*.safetensors")):
        file.rename(file.with_name(f"{file.stem}.fp16.safetensors"))
    base = load_base(str(folder), device="cpu", prediction="v_prediction")
    assert base.prediction == "v_prediction" and "predicts epsilon; v_prediction was asked" in base.warnings[0]
    one, other = base.unet.state_dict(), load_base("miniature", device="cpu").unet.state_dict()
    assert all(torch.equal(one[key], other[key]) for key in other)


def test_all_of_sdxl_is_wanted_from_the_hub_and_half_precision_only_where_there_is_nothing_else(tmp_path, monkeypatch):
    names = [
        "model_index.json",
        "sd_xl_base_1.0.safetensors",
        "vae_1_0/diffusion_pytorch_model.safetensors",
        "text_encoder_2/model.fp16.safetensors",
        "tokenizer_2/merges.txt",
        "unet/model.onnx_data",
        "unet/openvino_model.xml",
        "unet/diffusion_pytorch_model.fp16.safetensors",
    ]
    asked = []

    def snapshot(name, revision, allow_patterns, ignore_patterns, local_files_only):
        asked.append((name, revision))
        found = set(filter_repo_objects(there, allow_patterns=allow_patterns, ignore_patterns=ignore_patterns))
        for file in found:
            (tmp_path / file).parent.mkdir(exist_ok=True)
            (tmp_path / file).touch()
        return tmp_path

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    there = [*names, "unet/diffusion_pytorch_model.safetensors", "text_encoder_2/model.safetensors"]
    find_folder("owner/name", "abc")
    files = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*") if file.is_file()}
    assert files == {"model_index.json", "tokenizer_2/merges.txt", *there[-2:]} and asked == [("owner/name", "abc")]
    shutil.rmtree(tmp_path / "unet")
    there = names
    find_folder("owner/name", "abc")
    assert (tmp_path / "unet" / "diffusion_pytorch_model.fp16.safetensors").exists()
    assert not (tmp_path / "sd_xl_base_1.0.safetensors").exists() and len(asked) == 3


def test_a_hub_model_that_is_not_here_is_said_so_without_a_download():
    with pytest.raises(PrepError, match="cannot be downloaded"):
        find_folder("nobody/nothing-of-that-name", "main", download=False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_asked_for_and_missing_is_an_error_and_never_a_quiet_cpu():
    with pytest.raises(PrepError, match="sees no CUDA device"):
        pick_device("cuda")
    assert pick_device("auto").type == "cpu"
    with pytest.raises(PrepError, match="unknown"):
        pick_device("tpu please")
