"""The tables of the manifest and the SQL on each; `pipeline.store.manifest` is how others reach them.

May import: `pipeline.store.records`, `.values`, `.reasons`.
"""
