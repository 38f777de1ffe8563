"""The concept tree: the share that every branch is to get, and how often each image is shown for it.

- `regularization`: which regularization image goes beside which image, generated or the user's own

May import: `pipeline.core`, `pipeline.config`, `pipeline.store`, `pipeline.images`, and the scan of `pipeline.sources`.
"""
