"""The page about a set: its data, gathered from the manifest, and its sections.

May import: what `pipeline.report` may.
"""
