"""The training runs and grids of a set as the desk shows them, read anew while a run trains.

May import: `pipeline.core`, `.store`, `.report`.
"""
