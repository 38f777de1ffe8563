"""Models of full size whose weights take no memory (meta tensors)."""

import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection


def text_model(kind, width, layers, heads):
    return kind(
        CLIPTextConfig(
            hidden_size=width,
            num_hidden_layers=layers,
            intermediate_size=4 * width,
            num_attention_heads=heads,
            projection_dim=width,
        )
    )


def weightless(family):
    with torch.device("meta"):
        if family == "sd1":
            return UNet2DConditionModel(cross_attention_dim=768, attention_head_dim=8), [
                text_model(CLIPTextModel, 768, 12, 12)
            ]
        if family == "sd2":
            unet = UNet2DConditionModel(
                cross_attention_dim=1024, attention_head_dim=(5, 10, 20, 20), use_linear_projection=True
            )
            return unet, [text_model(CLIPTextModel, 1024, 23, 16)]
        unet = UNet2DConditionModel(
            block_out_channels=(320, 640, 1280),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            transformer_layers_per_block=(1, 2, 10),
            attention_head_dim=(5, 10, 20),
            cross_attention_dim=2048,
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=2816,
        )
        return unet, [
            text_model(CLIPTextModel, 768, 12, 12),
            text_model(CLIPTextModelWithProjection, 1280, 32, 20),
        ]
