"""The page about a training run: its data, read from the files in the run's folder, and its sections.

May import: what `pipeline.report` may.
"""
