"""The page about a training run: `facts.py` reads the run's folder, every other file makes the view of one section.

May import: what `pipeline.report` may.
"""
