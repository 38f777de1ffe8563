"""What is done to adapter files as a whole: convert, merge, extract and resize.

May import: what `train.adapters` may; `train.adapters.files` imports nothing of it.
"""
