"""Adapter files and checkpoints, layer by layer: read, write, what they hold, and which client shows what.

May import: what `train.adapters` may.
"""
