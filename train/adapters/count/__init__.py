"""What an adapter comes to on a base model, inferred from names and shapes before anything is loaded. No torch.

May import: what `train.adapters` may.
"""
