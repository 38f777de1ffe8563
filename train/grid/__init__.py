"""`prep grid`: the same prompts and seeds over adapters, strengths, base models and whatever else is to be compared.

- `axes`: what varies, and in which order
- `cells`: one image of the grid, and the key of all that makes it
- `options`: what a person writes, as axes; `plan`: every cell, and what is there already; `jobs`: what is left
- `of_run`: what a training run gives
- `adapters`: adapter files, read once, attached at a strength, and taken off again
- `render`: what is not there yet is generated, base model by base model
- `listing`: grid.json, from which pages and sheets are made

May import: `train.models`, `train.adapters`, `train.plan`, `train.options`.
"""
