"""ONNX taggers: images in, tag probabilities out.

- `spec`: what one model wants and gives, declared; nothing is guessed
- `families`: the taggers known by name: spec, revision, checksums, thresholds
- `overrides`: model.toml, for a tagger in a folder
- `registry`: which tagger a name stands for
- `download`: the files of a model: hub at a pinned revision, or a folder
- `labels`: which tag each output stands for
- `preprocess`: preprocess.json, where a model says itself how an image is prepared
- `session`: ONNX Runtime on the device that was asked for, or an error that says why not
- `ports`: the input and output of an open model, checked
- `resize`: an image as the model's input
- `inference`: a batch run, however much memory there is
- `engine`: decode threads, one inference loop, scores by batch
- `thresholds`: which tags hold, by a model's own thresholds

May import: nothing of ours, so that the package can be used alone.
"""
