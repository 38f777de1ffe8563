"""What a run leaves on disk, and what it does beside its steps: run folder, record, logs, snapshots, training state, callbacks.

May import: everything below `train.loop`, and `pipeline.core`.
"""
