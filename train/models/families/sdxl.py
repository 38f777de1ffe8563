"""SDXL (Podell et al. 2023, arXiv:2307.01952): CLIP ViT-L/14 beside OpenCLIP ViT-bigG/14, both read at the penultimate
layer, a pooled text vector of the second, and sizes in pixels."""

from __future__ import annotations

from train.models.families.family import Family, TextPart, shipped

SDXL = Family(
    name="sdxl",
    title="SDXL",
    text=(
        TextPart("text_encoder", "tokenizer", "conditioner.embedders.0.transformer.", "clip", "<|endoftext|>"),
        TextPart("text_encoder_2", "tokenizer_2", "conditioner.embedders.1.model.", "openclip", "!", pooled=True),
    ),
    architecture=shipped("sdxl"),
    penultimate=True,
    sized=True,
)
