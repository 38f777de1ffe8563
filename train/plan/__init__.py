"""What a run comes to, before it starts: steps, exposures, latents, memory, truncated tags, warnings. No model is loaded.

May import: everything below `train.loop`, and `pipeline.core`, `pipeline.store`, plain functions of `tags` and `concepts`.
"""
