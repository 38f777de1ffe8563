"""What is no base model, is cut off or would run code is refused, and nothing runs."""

import pickle
from pathlib import Path

import pytest
import torch
from single_files import Runs, full_vocabulary, load
from tiny_models import write_single

from pipeline.core.errors import PrepError
from train.models.load import load_base


@pytest.mark.parametrize("name", ["adapter_config.json", "pytorch_lora_weights.safetensors"])
def test_the_folder_of_an_adapter_is_called_one(name, tmp_path):
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(PrepError, match=f"is an adapter, no base model: it holds {name}"):
        load_base(str(tmp_path), device="cpu")


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
