"""What a person may ask of a training run: the recipe, composed of each part's own options; which exclude each other; presets;
kohya's names for the same settings.

Plain values, no torch. Functions of the rooms below take their own component's options, never the recipe.
May import: `pipeline.core`, `pipeline.config`, and the options of every room below.
"""
