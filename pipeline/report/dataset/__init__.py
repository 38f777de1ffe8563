"""The page about a set: `facts` gathers its data from the manifest, every other file makes the view of one section.

May import: what `pipeline.report` may.
"""
