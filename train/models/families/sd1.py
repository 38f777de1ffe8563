"""Stable Diffusion 1.x (Rombach et al. 2022, arXiv:2112.10752): one CLIP ViT-L/14 text encoder, 8 heads, 512 pixels."""

from __future__ import annotations

from train.models.families.family import Family, TextPart, shipped

SD1 = Family(
    name="sd1",
    title="Stable Diffusion 1.x",
    text=(TextPart("text_encoder", "tokenizer", "cond_stage_model.transformer.", "clip", "<|endoftext|>"),),
    architecture=shipped("sd1"),
)
