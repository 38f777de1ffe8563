"""Tools on adapter files: look at them, convert, merge, extract and resize them, layer by layer."""
