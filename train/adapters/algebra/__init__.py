"""Formulas that several algorithms share: products, norms, factors, rotations, magnitudes, and the library that draws weights.

Importing them loads no torch: see `lazy_torch`. May import: `train.adapters.config`.
"""
