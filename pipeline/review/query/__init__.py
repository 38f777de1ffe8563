"""The language in which images are asked for: `concept:characters smile -"red hat" (flag:any OR score:smile<0.5) width>=1024`.

`reading` makes terms of text, `terms` says what each means of a snapshot, `searching` answers.
May import: `pipeline.core`, `.store`, `.review.snapshot`, and plain functions of `tags`.
"""
