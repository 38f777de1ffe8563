"""What the set as a whole tells about its tags: which are core to a trigger word, where each is present and absent, what
contradicts the rest of its concept, which tags always come with which.

May import: `pipeline.tags.vocabulary`, `pipeline.tags.captions`.
"""
