"""From folders of images to a set that is ready to train on. No torch in here.

- `core`: files, names, errors, decoding, seeded draws: what everything else stands on
- `config`: settings, and the list of stages and commands
- `store`: the manifest with its decisions, caption files, the stage runner, undo
- `sources`, `images`, `tags`, `concepts`: the four nouns, each with its rules as functions of plain values
- `report`, `export`: what is made of a set, for people and for other trainers
- `stages`: the steps a person runs, each planning from what the others decided
- `cli`: the command `prep`

Imports run down that list only, which import-linter checks. `train` is imported by `stages` and `cli` alone, inside functions,
so that `prep --help` loads no torch; what a report needs of it is read from the files of a run.
"""
