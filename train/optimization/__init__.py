"""How it is trained: the loss, the noise, optimizers, learning rate schedules, precision.

May import: `pipeline.core`, `pipeline.config`, `train.models`.
"""
