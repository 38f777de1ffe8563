"""One algorithm a file, which says all there is to know of it; `algorithm` is the contract they keep.

No torch is loaded on import, so that plans and option checks can ask them too.
"""
