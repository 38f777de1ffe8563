"""Adapters: what is trained. Attaching one to a base model, its options, its files.

- `registry`: the algorithms by name
- `algorithms`: one file for each, which knows everything about it
- `algebra`: formulas that several of them share
- `inject`: a layer of the base model, and its adapter attached to it
- `names`: what files call a layer: kohya's keys, diffusers', PEFT's; blocks
- `count`: what an adapter comes to, before a model is loaded
- `files`: look at adapter files, convert, merge, extract and resize them

May import: `pipeline.core`, `pipeline.config`, `train.models`.
"""
