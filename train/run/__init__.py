"""What a run leaves on disk, and what it does beside its steps: run folder, record, logs, snapshots, training state, callbacks.

May import: `train.evaluation` and everything below it, and `pipeline.core`, `pipeline.store`.
"""
