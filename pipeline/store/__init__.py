"""The set on disk: the manifest and all its SQL, its records, caption files, running a stage, undo, history and the lock.

Nothing outside this package writes a query. May import: `pipeline.core`.
"""
