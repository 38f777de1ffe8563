"""From a decided set to an adapter.

- `models`: base models: loading, text encoding, noise schedule, sampling
- `adapters`, `data`, `optimization`: what is trained, on what, and how
- `options`: what a person may ask of a run, composed of each part's own options
- `plan`, `evaluation`, `run`: what a run comes to, how it is judged, what it leaves on disk
- `distributed`: several processes, and Ctrl-C
- `miniature`: the painted world and its models, for the demo and the tests

`session` opens a set, `job` is what was decided before a model is loaded, `loop` is training, read from top to bottom.
Imports run down: session, loop, then plan, evaluation and run, then options, then adapters, data and optimization, then
models. Of `pipeline`, `train` may import `core`, `config` and `store`, and plain functions of `tags`, `concepts` and `images`.
"""
