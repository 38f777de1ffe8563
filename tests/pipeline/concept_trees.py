"""Concept trees for the tests beside this file: the published one, and any that hypothesis thinks of."""

from __future__ import annotations

from hypothesis import strategies as st

PUBLISHED = {
    "artists/kantoku": (2190, 1),
    "artists/ke-ta": (738, 2),
    "artists/momoko": (762, 2),
    "artists/mochizuki_kei": (426, 5),
    "artists/onono_imoko": (373, 5),
    "characters/fanart/Anisphia": (37, 24),
    "characters/fanart/Anisphia+Euphyllia": (97, 9),
    "characters/fanart/Euphyllia": (16, 57),
    "characters/fanart/OyamaMahiro": (299, 3),
    "characters/fanart/OyamaMahiro+OyamaMihari": (47, 19),
    "characters/fanart/OyamaMihari": (53, 17),
    "characters/screenshots/Anisphia": (217, 3),
    "characters/screenshots/Anisphia+Euphyllia": (165, 4),
    "characters/screenshots/Anisphia+Tilty": (24, 28),
    "characters/screenshots/Euphyllia": (235, 2),
    "characters/screenshots/OyamaMahiro": (210, 3),
    "characters/screenshots/OyamaMahiro+OyamaMihari": (199, 3),
    "characters/screenshots/OyamaMihari": (177, 3),
    "characters/screenshots/Tilty": (95, 7),
}
"""Concept → (images, repeat): the composition table of alea31415's LyCORIS experiments (Hugging Face)."""
COUNTS = {concept: images for concept, (images, _) in PUBLISHED.items()}

part = st.sampled_from(["a", "b", "c", "d~", "e e"])
concepts = st.lists(part, min_size=1, max_size=3).map("/".join)
counts = st.dictionaries(concepts, st.integers(1, 500), min_size=1, max_size=8)
