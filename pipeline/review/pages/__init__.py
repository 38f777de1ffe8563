"""The pages of the desk, a file each; `menu` has their order.

May import: everything in `pipeline.review`.
"""
