"""What `prep tags` knows and does: questions about the tags of a set, and edits of many captions at once.

selection  which pictures are meant, with the captions that hold
spelling   which tag a person means, and tags that look misspelt
tables     counts, pairs, coverage, rules, contradictions: rows to print
why        why a tag is in one picture's caption, or is not
text       a person's caption edited with its other words as they were
edits      bulk edits, planned and recorded
"""
