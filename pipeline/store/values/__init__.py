"""What is decided about an image, as types: its bucket, repeats, regularization images, tags, contradictions.

Each class has one `to_json` and one `from_json`, which the store alone calls (`codec`); everyone else uses attributes.
May import: `pipeline.core`.
"""
