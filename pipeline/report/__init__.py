"""Pages for people: one HTML file that shows a set (`dataset/`) or a training run (`run/`), with no network.

A section has one name in two places: `dataset/balance.py` makes plain figures into a view, and
`html/templates/dataset/balance.html` lays the view out. Imports core, store, images and concepts; nothing of train.
"""
