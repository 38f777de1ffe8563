"""What pages are made of: Jinja2 templates that escape whatever they are given, styles and script in `assets`, the
Content-Security-Policy, the geometry of charts, and thumbnails as data URLs.

Knows no manifest and no run. May import: `pipeline.core`.
"""
