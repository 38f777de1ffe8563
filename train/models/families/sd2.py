"""Stable Diffusion 2.x (Stability-AI/stablediffusion): OpenCLIP ViT-H/14, of which the last layer is left away, so that
what is read as the last one is the penultimate; made for 512 pixels with epsilon and for 768 with v-prediction."""

from __future__ import annotations

from train.models.families.family import Family, TextPart, shipped

SD2 = Family(
    name="sd2",
    title="Stable Diffusion 2.x",
    text=(TextPart("text_encoder", "tokenizer", "cond_stage_model.model.", "openclip", "!"),),
    architecture=shipped("sd2"),
)
