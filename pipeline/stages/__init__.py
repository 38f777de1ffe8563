"""The stages: one file each, with its options, what it decides and how, and at its end the `STAGE` that says what runs when.

The rules that a stage applies are in `sources`, `images`, `tags` and `concepts`; `pipeline.config.registry` lists the stages.
May import: everything in `pipeline` but `cli`; `taggers` and `train` inside functions.
"""
