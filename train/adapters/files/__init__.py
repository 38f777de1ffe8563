"""Tools on adapter files, layer by layer: read, write, info, convert, merge, extract and resize; which client shows what.

May import: what `train.adapters` may.
"""
