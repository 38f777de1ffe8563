"""Where images come from: what lies in folders, archives and repositories, what is said of it, and how it comes over.

- `source_list`: which sources a set has, and how prep.toml remembers them
- `hub`, `archives`: a repository's folder fetched, an archive unpacked once (`unpacking`), so that both are folders
- `scan` gives a `source_file` for every file; `repeats`, `sidecars`, `booru`, `metadata_files` read what files beside images say
- `data_files`, `captions` bring what is said of images, `known_contents` hashes them, `placement` gives each a place in the set

May import: `pipeline.core`, `pipeline.config`, `pipeline.store`.
"""
