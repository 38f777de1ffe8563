"""Where images come from: what lies in folders, archives and repositories, what is said of it, and how it comes over.

- `listed`: which sources a set has, and how prep.toml remembers them
- `hub`, `archives`: a repository's folder fetched, an archive unpacked once, so that both are folders
- `scan` gives a `found` for every file; `repeats`, `sidecars`, `booru`, `metadata` read what the files beside images say
- `placing` gives each image its place in the set, `linking` brings it there
"""
