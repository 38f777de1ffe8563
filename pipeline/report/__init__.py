"""The review: HTML files that show what was found, decided and learned, each whole in itself, without a network.

- `dataset`: the page about a set
- `run`: the page about a training run
- `html`: templates, charts and thumbnails for both

May import: everything in `pipeline` but `export`, `stages` and `cli`.
"""
