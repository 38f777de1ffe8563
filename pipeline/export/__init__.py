"""The set written out for other trainers: what each layout should hold, and a folder brought to hold exactly that."""
