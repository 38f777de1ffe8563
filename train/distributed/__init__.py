"""Several processes that train as one, and Ctrl-C.

May import: `pipeline.core`.
"""
