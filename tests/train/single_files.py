"""Base models in one file, for the tests of how they are read: loaded, compared, and made hostile."""

import json
from pathlib import Path

import torch
from tiny_models import VOCABULARY

from train.models.load import load_base

NAMES = ["sd1", "sd2", "sdxl"]


def load(file: Path, **more):
    return load_base(str(file), device="cpu", **{"tokenizer": VOCABULARY, "prediction": "epsilon"} | more)


def parts(base):
    return (base.unet, base.vae, *base.text_encoders)


def same_weights(one, other):
    for left, right in zip(parts(one), parts(other), strict=True):
        left, right = left.state_dict(), right.state_dict()
        assert left.keys() == right.keys()
        assert all(torch.equal(left[key], right[key]) for key in left)


class Runs:
    def __reduce__(self):
        return (exec, ("import pathlib; pathlib.Path('ran').touch()",))


def full_vocabulary(folder: Path) -> Path:
    """A vocabulary of CLIP's size."""
    (folder / "clip").mkdir()
    known = json.loads((VOCABULARY / "vocab.json").read_text(encoding="utf-8"))
    special = {name: known.pop(name) for name in ("<|startoftext|>", "<|endoftext|>")}
    words = [*known, *[f"zz{number}</w>" for number in range(49408 - len(known) - len(special))], *special]
    text = json.dumps({word: place for place, word in enumerate(words)})
    (folder / "clip" / "vocab.json").write_text(text, encoding="utf-8")
    (folder / "clip" / "merges.txt").write_bytes((VOCABULARY / "merges.txt").read_bytes())
    return folder / "clip"
