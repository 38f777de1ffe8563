"""What a person should decide about a set, each with evidence and with answers to choose from: found in what the stages
decided, never applied before it is accepted, and not found again once it was rejected.

One file a kind. May import: `pipeline.core`, `.store`, and plain functions of `tags`, `images` and `concepts`.
"""
