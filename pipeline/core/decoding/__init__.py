"""The one way from an image file to pixels, whatever wrote it.

May import: `pipeline.core`.
"""
