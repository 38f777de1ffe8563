"""A frozen layer of the base model and the operations on it, an adapter attached to it, its tensors, dropout, initial weights.

May import: what `train.adapters` may.
"""
