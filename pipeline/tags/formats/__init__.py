"""Caption formats: in which order and in which words the families of base models had the captions they were trained on.

- `families`: what each family documents, with its source
- `options`, `choice`: what a person asks for, and what it comes to for one image
- `phrases`: tags in plain words
- `prompts`: what is generated where no prompt is given

May import: `pipeline.core`, `pipeline.config`, and `pipeline.tags.vocabulary`.
"""
