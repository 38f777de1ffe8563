"""Adapter algorithms, a file each: what is trained on one layer, how it acts, and what it comes to as a weight.

    site.py      a frozen layer and the operations on it      drops.py     what is left out at random, and when
    lora.py, loha.py, lokr.py, glora.py, full.py, norm.py, ia3.py, oft.py, boft.py, dylora.py    one algorithm each
    dora.py      weight decomposition of the first three      library.py   first weights, as lycoris-lora draws them
    shape.py     what kind of adapter, in plain values        blocks.py    the UNet's blocks by name
    kinds.py     the table of algorithms, and their contract  reading.py   the shape of an adapter from its file
    rules.py     which options go with which algorithm

Every algorithm is built from its tensors as the file holds them, so that a new adapter, a resumed one and a stranger's file
are the same thing. Strength is linear in what is added to the weights, as A1111 has it.
"""
