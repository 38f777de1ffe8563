"""Where images come from: what lies in folders, archives and repositories, what is said of it, and how it comes over.

- `source_list`: which sources a set has, and how prep.toml remembers them
- `hub`, `archive`: a repository's folder fetched, an archive unpacked once, so that both are folders
- `scan` gives a `source_file` for every file; `repeats` and `beside` read what folders and files beside images say
- `known_contents` hashes images, `placement` gives each a place in the set, `auxiliary` tells masks and previews from them

May import: `pipeline.core`, `pipeline.config`, `pipeline.store`.
"""
