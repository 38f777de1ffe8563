"""A painted world for the demo and the tests: scenes, source folders with planted faults, and models trained on them.

- `painter`, `scenes`, `source_tree`: what is painted, with the truth about every file
- `build` trains all models from a seed: `learn_autoencoder`, `learn_text`, `learn_base`, `learn_tagger`
- `measure`: how good they are

Nothing but the demo and the tests needs it. May import: everything in `train`, and `taggers`.
"""
