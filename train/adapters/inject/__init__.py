"""A frozen layer of the base model and the operations on it, an algorithm attached to it, dropout, first weights.

The first weights are drawn by the modules of lycoris-lora. May import: what `train.adapters` may.
"""
