"""Base models of SD 1.x, SD 2.x and SDXL: loading, identity, text encoding, conditioning, noise schedule, samplers, prompts.

- `families`: what tells the families apart
- `loading`: single files and folders, and what is detected in them

May import: `pipeline.core`, and file hashes of `pipeline.store`.
"""
