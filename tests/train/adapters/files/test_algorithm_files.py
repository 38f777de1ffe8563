"""The configuration of an adapter read from its file, blocks, and which options go together."""

import math

import pytest
import torch
from safetensors.torch import save_file
from small_models import parameters_of, small_text, small_unet
from torch import nn

from pipeline.core.errors import PrepError
from train.adapters.adapter import Adapter, AdapterConfig
from train.adapters.algorithms.boft import division
from train.adapters.config import LayerConfig
from train.adapters.detect import check_same, read_config
from train.adapters.inject.initial_weights import initial_weights
from train.adapters.names.blocks import by_block
from train.adapters.registry import ALGORITHMS
from train.options.recipe import make_recipe

# --- shapes read


@pytest.mark.parametrize(
    "options",
    [
        {"algorithm": "lora", "text_encoder": True},
        {"algorithm": "lora", "dora": True},
        {"algorithm": "locon", "convolutions": True, "conv_rank": 2, "tucker": True, "train_norm": True},
        {"algorithm": "loha", "convolutions": True, "conv_rank": 2},
        {"algorithm": "lokr", "factor": 4, "rank": 1},
        {"algorithm": "lokr", "full_matrix": True, "factor": 2},
        {"algorithm": "glora", "convolutions": True, "conv_rank": 2},
        {"algorithm": "oft", "alpha": 1.0},
        {"algorithm": "boft", "alpha": 1.0, "convolutions": True, "conv_rank": 4},
        {"algorithm": "full", "alpha": 1.0, "rank": 1},
        {"algorithm": "norm", "alpha": 1.0, "rank": 1},
        {"algorithm": "ia3", "alpha": 1.0, "rank": 1},
    ],
)
def test_the_shape_of_an_adapter_is_read_from_its_file(options, tmp_path):
    config = AdapterConfig(**{"rank": 4, "alpha": 2.0} | options)
    save_file(Adapter(config, small_unet(), small_text()).tensors(), tmp_path / "a.safetensors")
    found = read_config(tmp_path / "a.safetensors")
    for name in ("algorithm", "convolutions", "text_encoder", "train_norm", "dora", "tucker", "factor", "full_matrix"):
        assert getattr(found, name) == getattr(config, name), name
    if config.algorithm in ("lora", "locon", "loha", "glora", "lokr") and not config.full_matrix:
        assert (found.rank, found.alpha) == (config.rank, 2.0)
    if config.conv_rank:
        assert found.conv_rank == config.conv_rank


def test_a_dylora_is_reported_from_a_lora_by_its_metadata(tmp_path):
    config = AdapterConfig(algorithm="dylora", rank=4, alpha=2.0, unit=2)
    tensors = Adapter(config, small_unet(), small_text()).tensors()
    for arguments, found in (('{"algo": "dylora", "block_size": 2}', ("dylora", 2)), ("{}", ("lora", 4))):
        save_file(tensors, tmp_path / "a.safetensors", {"ss_network_args": arguments})
        held = read_config(tmp_path / "a.safetensors")
        assert (held.algorithm, held.unit) == found


def test_an_adapter_of_another_rank_or_algorithm_than_asked_for_is_refused_with_both(tmp_path):
    held = AdapterConfig(algorithm="loha", rank=4, alpha=2.0)
    save_file(Adapter(held, small_unet(), small_text()).tensors(), tmp_path / "a.safetensors")
    assert check_same(held, tmp_path / "a.safetensors").rank == 4
    with pytest.raises(PrepError, match="has algorithm loha where lokr was asked for, rank 4 where 8 was asked for"):
        check_same(AdapterConfig(algorithm="lokr", rank=8, alpha=2.0), tmp_path / "a.safetensors")


def test_a_file_of_no_or_several_algorithms_is_refused(tmp_path):
    file = tmp_path / "a.safetensors"
    save_file({"a.alpha": torch.tensor(1.0)}, file)
    with pytest.raises(PrepError, match="a is of no known algorithm"):
        read_config(file)
    save_file({"a.lora_up.weight": torch.zeros(2, 1), "b.diff": torch.zeros(2, 2)}, file)
    with pytest.raises(PrepError, match="mixes the algorithms full, lora"):
        read_config(file)
    file.write_bytes(b"\x80\x04cos\nsystem\n.")
    with pytest.raises(PrepError, match="not a readable safetensors file"):
        read_config(file)


# --- blocks


def test_a_block_left_out_has_no_modules_and_others_have_their_rank_alpha_and_share():
    config = AdapterConfig(
        algorithm="lora",
        rank=4,
        alpha=4.0,
        text_encoder=True,
        blocks={"IN": 0.0, "OUT": 0.5, "BASE": 0.25},
        block_ranks={"M00": 2},
        block_alphas={"M00": 1.0},
    )
    adapter = Adapter(config, small_unet(), small_text())
    assert not any("down_blocks" in name for name in adapter.layers)
    name = "lora_unet_mid_block_attentions_0_proj_in"
    middle = adapter.wrappers[name].trained
    assert (middle.rank, float(adapter.layers[name]["alpha"]), middle.scale) == (2, 1.0, 0.5)
    shares = {share: len(weights) for share, weights in adapter.groups("unet")}
    assert shares.keys() == {0.5, 1.0} and sum(shares.values()) == len(parameters_of(adapter, "unet"))
    assert [share for share, _ in adapter.groups("te")] == [0.25]


def test_a_blocks_own_value_counts_before_its_sections():
    present = {"IN01", "IN02", "M00", "OUT03"}
    assert by_block({"IN02": 0.5, "IN": 0.0}, present, "blocks") == {"IN01": 0.0, "IN02": 0.5}
    with pytest.raises(PrepError, match="blocks names OUT04, where this adapter has no layer") as caught:
        by_block({"OUT04": 1.0}, present, "blocks")
    assert caught.value.hint == "it has some in IN01, IN02, M00, OUT03"


# --- rank-stabilized scale


def test_a_rank_stabilized_file_says_the_alpha_that_its_readers_divide_by_the_rank():
    tensors = initial_weights(
        ALGORITHMS["lora"], "l", nn.Linear(4, 4), LayerConfig(rank=16, alpha=8.0, rank_stabilized=True)
    )
    assert tensors["alpha"].item() / 16 == pytest.approx(8.0 / math.sqrt(16))


# --- options that go together


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"algorithm": "full", "rank": 8}, "algorithm full has no rank"),
        ({"algorithm": "oft", "alpha": 2.0}, "algorithm oft is not scaled by alpha / rank"),
        ({"algorithm": "lora", "factor": 4}, "algorithm lora does not use it"),
        ({"algorithm": "glora", "dora": True}, "has no direction to take a magnitude"),
        ({"algorithm": "oft", "rank_dropout": 0.1}, "has no ranks that could be left out"),
        ({"algorithm": "ia3", "scale_weight_norms": 1.0}, "has no product of factors to scale"),
        ({"algorithm": "lora", "convolutions": "yes"}, "adapts the transformer layers only"),
        ({"algorithm": "locon", "convolutions": "no"}, "locon is LoRA with convolutions"),
        ({"algorithm": "loha", "convolutions": "no", "tucker": True}, "decomposes large convolutions only"),
        ({"algorithm": "lokr", "full_matrix": True, "rank_dropout": 0.1}, "no factor is of low rank"),
        ({"algorithm": "dylora", "rank": 6}, "rank is 6, no multiple of rank_unit, 4"),
        ({"algorithm": "norm", "train_text_encoder": True}, "leave out changed norms of text encoders"),
        ({"dora": True, "network_dropout": 0.1}, "one with its change"),
        ({"blocks": {"IN12": 1.0}}, "blocks names 'IN12', which is no block"),
        ({"blocks": {"BASE": 1.0}}, "the text encoder is not trained"),
        ({"blocks": {"IN": 0.5}, "optimizer": "Prodigy"}, "Prodigy finds one rate for all weights"),
        ({"blocks": {"IN": -1.0}}, "blocks gives IN -1.0"),
        ({"blocks": {"IN": 0.0, "MID": 0.0, "OUT": 0.0}}, "leaves every block of the UNet out"),
        ({"module_dropout": 1.0}, "module_dropout is 1.0, it must be"),
        ({"alpha": 0.0}, "alpha is 0.0, it must be above 0"),
    ],
)
def test_what_an_algorithm_cannot_use_is_refused_with_the_reason(options, words):
    with pytest.raises(PrepError, match=words):
        make_recipe(**options)


# --- sizes


@pytest.mark.parametrize(
    "layer", [nn.Linear(320, 640, bias=False), nn.Conv2d(96, 360, 1, bias=False), nn.Conv2d(48, 64, 3, bias=False)]
)
@pytest.mark.parametrize(
    ("algorithm", "options"),
    [
        ("lora", {}),
        ("locon", {"tucker": True, "dora": True}),
        ("loha", {"tucker": True}),
        ("loha", {"dora": True}),
        ("glora", {}),
        ("full", {}),
        ("oft", {}),
        ("ia3", {}),
        ("lokr", {}),
        ("lokr", {"factor": 0}),
        ("lokr", {"factor": 4, "decompose_both": True}),
        ("lokr", {"factor": 7, "full_matrix": True}),
        ("lokr", {"factor": 2, "tucker": True, "dora": True}),
    ],
)
@pytest.mark.parametrize("rank", [1, 4, 16])
def test_the_parameters_counted_are_those_that_are_trained(algorithm, options, layer, rank):
    tensors = initial_weights(ALGORITHMS[algorithm], "l", layer, LayerConfig(rank=rank, **options))
    held = sum(value.numel() for key, value in tensors.items() if key not in ("alpha", "on_input"))
    config = LayerConfig(rank=rank, **options)
    assert ALGORITHMS[algorithm].trained.parameters(tuple(layer.weight.shape), False, config) == held


def test_butterflies_are_counted_as_they_are_trained():
    for out, most in ((64, 8), (40, 10), (320, 16), (1280, 10)):
        tensors = initial_weights(ALGORITHMS["boft"], "l", nn.Linear(8, out, bias=False), LayerConfig(rank=most))
        parameters = ALGORITHMS["boft"].trained.parameters((out, 8), False, LayerConfig(rank=most))
        assert parameters == tensors["oft_blocks"].numel()
    assert division(320, 8) == (0, 0)
    with pytest.raises(ValueError, match="cannot divide 320 outputs into blocks of up to 8"):
        ALGORITHMS["boft"].trained.parameters((320, 8), False, LayerConfig(rank=8))
