"""The page of a grid of generated images, and its sheets; both are made from grid.json and the images beside it.

May import: what `pipeline.report` may, and `taggers`.
"""
