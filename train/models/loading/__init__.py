"""From files to a model's parts: a folder in diffusers format, one .safetensors or .ckpt file, another VAE.

Only tensors are read of any file.
May import: `pipeline.core`, `train.models`.
"""
