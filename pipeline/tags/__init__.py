"""What is known about tags, as functions of plain values: no manifest; only rules and tokenizers are read from files.

names           one spelling for every tag, and the other names it goes by
rulefile        a person's rules, one a line
prose           captions in sentences, told from lists of tags
thresholds      from which probability a tag holds
choose          which scores become tags, where several taggers speak too
people          how many persons the tags of an image speak of
quality         tags that speak of the file, not of what it shows
implications    a tag that a more exact one makes needless
learned         the same, learned from the set's own scores
compose         `boots` and `red footwear` are `red boots`
slots           what an image of one person has one value of
contradictions  tags at odds with all other images of a concept
core            traits that a trigger word should absorb
triggers        the trigger words of a concept
tokens          the base model's tokenizer
order           the order of tags in a caption, and its limits
captions        a caption from scores: the rules in their order
coverage        which images show which tags, counted
survey          what the set as a whole tells
rows            what became of every tag, and why
facts           flags and contradictions as rows
notes           what a person should know, in words
overlay         a person's own edits of tags
"""
