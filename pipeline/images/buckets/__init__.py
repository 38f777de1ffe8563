"""How an image is scaled and cropped for training, and what that costs: the bucket list and shorter ones that lose nothing,
crop anchors, and what came of it for a whole set.

Plain functions of sizes and arrays, in (width, height) pixels. May import: `pipeline.core`.
"""
