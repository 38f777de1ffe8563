"""A stage as a typed object: whether it is up to date, its plan recorded, its files changed, its work done.

May import: `pipeline.core`, `pipeline.store`.
"""
