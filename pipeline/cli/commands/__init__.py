"""Commands that are not stages, one file each.

May import: everything in `pipeline`; `train` inside functions.
"""
