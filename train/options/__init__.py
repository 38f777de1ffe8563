"""What a person may ask of a training run: the recipe, composed of each part's own options; which exclude each other; presets.

Plain values, no torch. May import: `pipeline.core`, `pipeline.config`, `train.adapters`, `train.data`, `train.optimization`.
"""
