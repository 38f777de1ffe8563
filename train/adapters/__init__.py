"""Adapters: what is trained. Attaching one to a base model, its options, its files.

- `algorithms`: one file for each kind, which knows everything about it
- `inject`: a layer of the base model, and an algorithm attached to it
- `names`: what files call a layer: kohya's keys, diffusers', PEFT's; blocks
- `count`: what an adapter comes to, before a model is loaded
- `files`: look at adapter files, convert, merge, extract and resize them

May import: `pipeline.core`, `pipeline.config`, `train.models`.
"""
