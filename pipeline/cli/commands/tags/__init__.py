"""What `prep tags` asks and edits, one file for each kind of question; `group.py` puts them together.

May import: everything in `pipeline`.
"""
