"""What everything stands on: errors, files, file names, links, the one image decoder, fonts, text diffs, seeded random draws.

May import: nothing of ours.
"""
