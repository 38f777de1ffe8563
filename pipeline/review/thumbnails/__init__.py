"""Small images for the wall, made once for each content and kept in SET/cache/thumbnails.

May import: `pipeline.core`.
"""
