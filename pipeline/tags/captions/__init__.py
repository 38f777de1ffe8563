"""From scores to a caption: thresholds, which tags hold, trigger words and what is pruned into them, the order, limits and
manual edits; every tag considered leaves a reason.

May import: `pipeline.store`, `pipeline.tags.vocabulary`, `pipeline.tags.statistics`, `pipeline.tags.formats`, and the thresholds
of `taggers`.
"""
