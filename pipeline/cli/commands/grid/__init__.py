"""`prep grid`: what is asked for, and what a set and its run give where nothing is asked.

May import: what `pipeline.cli` may.
"""
