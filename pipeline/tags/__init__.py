"""What is known about tags, as functions of plain values: only rules and tokenizers are read from files.

- `vocabulary`: one spelling for every tag; what implies, joins or contradicts what; people, attributes, quality
- `formats`: in which order and words the families of base models have their captions
- `captions`: scores to captions: which tags hold, which become the trigger word, in which order they stand
- `danbooru`: what the board says of tags, as tables
- `statistics`: what a whole set tells: core tags, coverage, contradictions, mined implications
- `editor`: questions about the tags of a set, and edits of many captions at once

May import: `pipeline.core`, `pipeline.config`, `pipeline.store`, and the thresholds of `taggers`.
"""
