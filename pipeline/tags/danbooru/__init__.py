"""What Danbooru says of tags: which implies which, which other names they go by, and which general tags there are.

The tables beside this file state facts of the board (implications and aliases of July 2026; general tags that the WD v3
taggers can say, of January 2025). `build` makes them anew from files of the board, `board_csv` reads those of any board.

May import: `pipeline.core` and the spelling of tags.
"""
