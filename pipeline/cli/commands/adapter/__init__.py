"""What `prep adapter` does with adapter files, one file for each; `group.py` puts them together.

May import: everything in `pipeline`; `train` inside functions.
"""
