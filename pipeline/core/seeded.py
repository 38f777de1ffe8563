"""Random numbers as a pure function of where they are used, so that resuming or another batch split changes nothing."""

from __future__ import annotations

import hashlib

import numpy as np


def key_seed(*key: int | str) -> int:
    """A 63-bit seed from any key, equal on every machine."""
    digest = hashlib.blake2b("\0".join(str(part) for part in key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def rng(*key: int | str) -> np.random.Generator:
    """NumPy's generator for a key."""
    return np.random.Generator(np.random.Philox(key_seed(*key)))
