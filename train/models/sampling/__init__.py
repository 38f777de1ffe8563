"""The noise schedule and DDIM, with noise of its own seed for every image.

May import: `pipeline.core`, `train.models.base`, `train.models.text`.
"""
