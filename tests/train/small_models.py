"""A UNet and a text encoder small enough to adapt in a moment."""

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from train.adapters.adapter import Adapter
from train.adapters.algorithms.algorithm import TrainedLayer
from train.adapters.inject.layer_tensors import LayerTensors
from train.adapters.registry import ALGORITHMS


def small_unet() -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 32),
        layers_per_block=1,
        cross_attention_dim=16,
        attention_head_dim=2,
        norm_num_groups=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )


def small_text() -> CLIPTextModel:
    torch.manual_seed(0)
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=50,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=12,
            eos_token_id=49,
        )
    )


def moved(adapter: Adapter) -> Adapter:
    """The adapter with its weights away from the start, as after training."""
    with torch.no_grad():
        for weight in adapter.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)
    return adapter


def parameters_of(adapter: Adapter, part: str) -> list[nn.Parameter]:
    """Those attached to `unet`, to all text encoders (`te`), or to one (`te1`, `te2`)."""
    return [weight for _, weights in adapter.groups(part) for weight in weights]


def trained_layer(algorithm: str, tensors: dict[str, Tensor]) -> tuple[TrainedLayer, LayerTensors]:
    """One layer's adapter with its tensors as parameters, and these."""
    held = LayerTensors(ALGORITHMS[algorithm], tensors)
    return ALGORITHMS[algorithm].trained(held), held


DRAWS = torch.Generator().manual_seed(0)
INPUTS = torch.randn(1, 4, 8, 8, generator=DRAWS), torch.tensor([5]), torch.randn(1, 3, 16, generator=DRAWS)
PRODUCTS = (32 + 32) * 9
"""That the widest layer of `small_unet` sums: a 3x3 kernel behind a skip connection."""
