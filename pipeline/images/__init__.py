"""What pixels say: measurements, fingerprints and duplicates; training sizes and crops; sheets that show them.

- `buckets`: resolutions, which one an image gets, and where it is cropped
- `sheets`: images of crops, losses and samples, for people

May import: `pipeline.core`, `pipeline.config`, `pipeline.store`.
"""
