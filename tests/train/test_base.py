import pytest
import torch

from pipeline.errors import PrepError
from train.base import load_base, pick_device
from train.folder import find_folder


def test_the_miniature_is_there_and_is_the_stable_diffusion_1_architecture():
    base = load_base("miniature", device="cpu")
    assert type(base.unet).__name__ == "UNet2DConditionModel"
    assert base.unet.config.in_channels == base.vae.config.latent_channels == 4
    assert base.latent_factor == 4
    assert base.prediction == "epsilon"
    assert base.text_encoder.config.max_position_embeddings == 77
    assert sum(file.stat().st_size for file in base.folder.rglob("*") if file.is_file()) < 15e6


def test_a_single_checkpoint_file_and_an_unknown_name_are_refused_with_what_to_type():
    with pytest.raises(PrepError, match="neither a folder") as caught:
        find_folder("model.safetensors", None)
    assert "miniature" in caught.value.hint


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(PrepError, match="no diffusers model"):
        load_base(str(tmp_path), device="cpu")


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
