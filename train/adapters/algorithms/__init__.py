"""The mathematics of each kind of adapter, a file each: what is trained on one layer, how it acts, what it comes to as a weight.

An algorithm is built from its tensors as the file holds them, so that a new adapter, a resumed one and another trainer's file
are the same thing. Strength is linear in what is added to the weights, as in A1111.
May import: `train.adapters.inject`.
"""
