"""Formulas that several algorithms share. Importing them loads no torch: see `lazy_torch`."""
