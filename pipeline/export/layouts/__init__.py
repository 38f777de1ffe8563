"""One file for each layout: kohya-ss/sd-scripts, EveryDream2, a Hugging Face image folder, WebDataset.

A layout says which files a folder should hold, and writes none of them. May import: what `pipeline.export` may.
"""
