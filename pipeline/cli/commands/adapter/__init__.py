"""What `prep adapter` does with adapter files, one file for each subcommand; `group.py` puts them together.

May import: everything in `pipeline`, and `train` inside functions.
"""
