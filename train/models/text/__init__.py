"""Prompts and captions to the text encoders' states, and what the UNet is conditioned on.

May import: `pipeline.core`, `train.models.base`.
"""
