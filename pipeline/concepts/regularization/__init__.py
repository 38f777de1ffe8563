"""Regularization images: which one is shown beside which image, how several take turns, and the files of those that were
generated and those that a user supplied.

May import: what `pipeline.concepts` may.
"""
