"""What a person decided, written down: one act is one run of the record, and nothing is written over unseen.

May import: everything in `pipeline` but the command line.
"""
