"""Every algorithm on every kind of layer, as each client computes it, against LyCORIS' own mathematics in float32."""

import pytest
import torch
from adapter_layers import CASES, base_weight, layer_and_difference
from client_weights import NotRendered, weight_delta
from tolerance import near

from train.adapters.files.client_support import incompatibility
from train.adapters.files.delta import difference
from train.adapters.files.layer import Layer, faults
from train.adapters.names.client_keys import CLIENTS

PRODUCTS = 12 * 9
"""In the norm of an output's weights, the longest sum on the way to a difference."""


def made(algorithm, kind, option):
    torch.manual_seed(len(kind) + len(option))
    weight = base_weight(kind)
    return weight, *layer_and_difference(algorithm, weight, option)


@pytest.mark.parametrize(("algorithm", "kind", "option"), CASES)
def test_the_difference_is_the_one_lycoris_computes(algorithm, kind, option):
    weight, layer, expected = made(algorithm, kind, option)
    assert not faults(layer.name, layer.kind, layer.shapes)
    assert near(difference(layer, weight), expected, PRODUCTS)
    if not layer.needs_base:
        assert near(difference(layer, None, weight.shape), expected, PRODUCTS)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(("algorithm", "kind", "option"), CASES)
def test_a_client_gives_the_trained_difference_at_every_strength_or_the_table_says_why_not(
    algorithm, kind, option, client
):
    weight, layer, expected = made(algorithm, kind, option)
    right = []
    for strength in (1.0, 0.5):
        try:
            right.append(near(weight_delta(client, layer, weight, strength), expected * strength, PRODUCTS))
        except NotRendered:
            right.append(False)
    assert all(right) is (not incompatibility(client, layer)), incompatibility(client, layer)


def test_rotations_are_applied_twice_as_strongly_damped_by_comfyui():
    weight, layer, expected = made("oft", "linear", "")
    assert near(weight_delta("comfyui", layer, weight, 1.0), expected, PRODUCTS)
    assert near(weight_delta("comfyui", layer, weight, 0.5), expected * 0.25, PRODUCTS)
    assert near(weight_delta("a1111", layer, weight, 0.5), expected * 0.5, PRODUCTS)


def test_a_lora_worked_by_hand():
    layer = Layer(
        "lora_unet_conv_in",
        "lora",
        {
            "lora_up.weight": torch.tensor([[1.0], [2.0]]),
            "lora_down.weight": torch.tensor([[3.0, 4.0]]),
            "alpha": torch.tensor(0.5),
        },
    )
    weight = torch.zeros(2, 2)
    for client in CLIENTS:
        assert weight_delta(client, layer, weight, 2.0).tolist() == [[3.0, 4.0], [6.0, 8.0]]


def test_dora_worked_by_hand():
    layer = Layer(
        "lora_unet_conv_in",
        "lora",
        {
            "lora_up.weight": torch.tensor([[1.0], [0.0]]),
            "lora_down.weight": torch.tensor([[3.0, 0.0]]),
            "dora_scale": torch.tensor([[10.0, 2.0]]),
        },
    )
    weight = torch.tensor([[0.0, 0.0], [4.0, 1.0]])
    expected = torch.tensor([[6.0, 0.0], [4.0, 1.0]])  # the column (3, 4) of length 5 is brought to 10, (0, 1) to 2
    for client in ("a1111", "forge", "comfyui"):
        assert near(weight_delta(client, layer, weight), expected, products=4)


def test_a_norm_needs_both_halves_in_a1111_only():
    layer = Layer("lora_unet_conv_norm_out", "norm", {"w_norm": torch.ones(3)})
    assert incompatibility("a1111", layer)
    assert not incompatibility("comfyui", layer)
    assert weight_delta("forge", layer, torch.zeros(3), 0.5).tolist() == [0.5] * 3
    with pytest.raises(NotRendered, match="both"):
        weight_delta("a1111", layer, torch.zeros(3))
