"""The command `prep`: each command is loaded when it is used, and this is the one place that prints and renders errors.

- `commands`: what is not a stage, one file for each

May import: everything in `pipeline`; `train` inside functions.
"""
