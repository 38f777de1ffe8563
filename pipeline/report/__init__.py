"""The review: HTML files that show what was found, decided and learned, each whole in itself, without a network.

- `dataset`: the page about a set
- `run`: the page about a training run
- `html`: templates, styles, charts and thumbnails for both

A section has one name in two places: `dataset/balance.py` makes plain figures into a view, and
`html/templates/dataset/balance.html` lays the view out.

May import: everything in `pipeline` but `export`, `stages` and `cli`.
"""
