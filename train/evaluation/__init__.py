"""How a run is judged: validation loss, samples, tag recall, the loss of each image, outliers.

May import: everything below `train.loop`, `taggers`, and `pipeline.images.sheets`.
"""
