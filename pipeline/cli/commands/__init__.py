"""The commands of `prep` that are no stages: one file each, imported only when it is used.

May import: everything in `pipeline`; `train` inside functions.
"""
