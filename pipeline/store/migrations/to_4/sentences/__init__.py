"""Sentences of version 3 as the codes and data of version 4.

Every function takes a phrase and its figures, as version 3 wrote them, and returns a code with its data. A sentence that is
none of version 3's is kept as it stands, under the code `as_recorded`.
May import: `pipeline.core`, `pipeline.store.reasons` and `pipeline.store.values`.
"""
