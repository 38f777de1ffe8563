"""Archives unpacked once: their entries, and in which code page their names are.

May import: `pipeline.core`, `pipeline.store`, `pipeline.sources`.
"""
