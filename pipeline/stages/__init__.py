"""The steps a person runs, one file each: flatten, check, bucket, tag, curate, balance, regularize, train, sample.

A stage is its options, its plan and its work, and nothing else: the rules are in `sources`, `images`, `tags` and `concepts`.
May import: everything in `pipeline` but `cli`; `taggers` and `train` inside functions.
"""
