"""What one family of models is: its text encoders, its configs, its names in single files. One file each, no torch.

May import: `pipeline.core`.
"""
