"""What `prep tags` knows and does: which images are meant, counts and pairs, why a tag is in a caption or is not, misspelt
tags, and edits of many captions, planned and recorded as one run.

May import: `pipeline.core`, `pipeline.store`, the other packages of `pipeline.tags`.
"""
