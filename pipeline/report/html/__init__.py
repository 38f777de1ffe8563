"""Pages from plain values: the frame with its Content-Security-Policy, escaped markup, charts as SVG, thumbnails as data URLs.

Knows no manifest and no run. May import: `pipeline.core`.
"""
