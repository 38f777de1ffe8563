"""ONNX taggers: pictures in, tag probabilities out.

spec      what a model wants and gives, declared; nothing is guessed
labels    the label file: row order is output order
download  the files of a model: hub at a pinned revision, or a folder
session   ONNX Runtime on the device that was asked for, or an error that says why not
prepare   a picture as the model's input
engine    decode threads, one inference loop, scores by batch
"""
