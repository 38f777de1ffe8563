"""What a person may ask of a training run: the recipe, composed of each component's own options; presets; kohya's names.

Which options exclude each other is said here too, where two components must know of each other. Plain values, no torch.
Functions of the rooms below take their own component's options, never the recipe. May import: `pipeline.core`,
`pipeline.config`, and the options of every room below.
"""
