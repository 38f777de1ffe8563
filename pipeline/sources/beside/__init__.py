"""What lies beside images: captions, JSON of downloaders and exports, tables of metadata.

May import: `pipeline.core`, `pipeline.store`, `pipeline.sources`.
"""
