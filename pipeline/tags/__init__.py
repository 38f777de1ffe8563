"""What is known about tags, as pure functions: no manifest, no files.

names         one spelling for every tag
people        how many persons the tags of a picture speak of
choose        which scores become tags
implications  a tag that a more exact one makes needless
compose       `boots` and `red footwear` are `red boots`
quality       tags that speak of the file, not of what it shows
core          traits that a trigger word should absorb
order         the order of tags in a caption
rows          what became of every tag, and why
"""
