"""From version 3 to 4: names and words are the ones that the field uses.

- `names`: what is called otherwise
- `decisions`: decisions, those that hold and those of the history, field by field
- `digests`, `runs`: runs, with the hashes that say whether they are fresh
- `run_files`: the files of training runs
- `settings`: the set's prep.toml

No image is touched: a regularization image of version 3 bears its mark under another key, which is still read.

May import: `pipeline.core`.
"""
