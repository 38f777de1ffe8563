"""Steps that bring an older set forward: one package for each version, `to_N`, which leads from N - 1 to N.

A step does not change once it is released: it uses nothing of the store but what is in this package, as that changes with
every version. `steps.py` lists them and says how they are applied.
May import: `pipeline.core`, and the schema of `pipeline.store`.
"""
