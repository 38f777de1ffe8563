"""What is trained on: the dataset, the order of images, batches, augmentation of images and captions, latents.

Every draw is keyed by seed, epoch, step and image, so that order and content are functions of the settings.
May import: `pipeline.core`, `pipeline.store`, plain functions of `pipeline.images` and `pipeline.concepts`, `train.models`,
`train.optimization`.
"""
