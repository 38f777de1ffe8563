"""A base model's VAE can be another one, if it fits."""

import pytest
import torch
from single_files import load
from tiny_models import single_tensors, tiny_pipeline, write_single

from pipeline.core.errors import PrepError


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
        wanted = pipeline.vae.state_dict()
        assert all(torch.equal(value, wanted[key]) for key, value in base.vae.state_dict().items())
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
