"""What pages are made of: Jinja2 templates, styles and script in `assets/`, thumbnails, and the geometry of charts.

Knows no manifest and no run. May import: `pipeline.core`.
"""
