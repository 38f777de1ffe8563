"""Words: one spelling for every tag and the other names it goes by, implications, two tags that are one, attributes of which a
person has one value, the number of people, tags about the file's quality, captions in prose, a user's rules.

May import: `pipeline.core`, `pipeline.store.reasons` and `pipeline.tags.danbooru.tables`.
"""
