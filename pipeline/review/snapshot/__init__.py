"""The set by columns, as the desk's questions need it: made once for each state of the record, never changed.

May import: `pipeline.core`, `.store`, and plain functions of `tags`, `images` and `concepts`.
"""
