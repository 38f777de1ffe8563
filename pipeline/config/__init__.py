"""Settings: one declaration gives an option its flag, its TOML key, its default and its help; here too is where a value came
from, and the list of stages and commands.

May import: `pipeline.core`. The stages themselves are loaded by name, and only when used.
"""
