"""What curation finds of faults that were planted, in figures."""
