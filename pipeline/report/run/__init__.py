"""The page about a run: `facts` reads the files in the run's folder, every other file makes the view of one section.

May import: what `pipeline.report` may.
"""
