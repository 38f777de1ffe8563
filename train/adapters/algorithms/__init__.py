"""The algorithms, a file each, which says all there is to know of it: what it takes and counts, how it starts and acts, what its
files hold, what that comes to as a weight and which programs show it. `algorithm` is the contract they keep.

A layer is built from its tensors as the file holds them, so that a new adapter, a resumed one and another trainer's file
are the same thing. Strength is linear in what is added to the weights, as in A1111. No torch is loaded on import, so that
plans and option checks can ask them too. May import: `train.adapters.algebra`, `train.adapters.config`.
"""
