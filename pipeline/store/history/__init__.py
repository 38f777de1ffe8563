"""What changed with every run, and how a run is undone.

May import: `pipeline.core`, `pipeline.store`.
"""
