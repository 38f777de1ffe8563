"""The page about a set: `facts.py` reads what the stages decided, every other file makes the view of one section.

May import: what `pipeline.report` may.
"""
