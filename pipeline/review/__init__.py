"""The review desk: pages served on this machine alone, on which a person looks at a set and decides.

`server` keeps others out and answers; `snapshot` is the set by columns, `query` finds images in it; `proposals` are what
should be decided, `runs` what trained; `deciding` writes down what was decided; `pages` put these together, a file a page.
May import: everything in `pipeline` but the command line; no torch, no SQLite, nothing of `train`.
"""
