"""Sheets of images for people: crops by bucket, the hardest and easiest images, samples over time.

May import: `pipeline.core`, `pipeline.images.buckets`.
"""
