"""The set written out for other trainers: what each layout should hold, and a folder brought to hold exactly that.

- `layouts`: one file for each layout

May import: everything in `pipeline` but `report`, `stages` and `cli`.
"""
