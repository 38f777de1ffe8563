"""A whole run with views and several twins: made, cached, shown in turn, and the same once more."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from pipeline.stages import regularize
from train.dataset import examples
from train.latentfiles import lying
from train.recipe import Recipe
from train.session import train_adapter

QUICK = {"base": "miniature", "rank": 2, "batch_size": 2, "steps": 4, "save_precision": "fp32", "device": "cpu"}
VARIED = {"flip": True, "flip_guard": ("never said",), "color_jitter": 0.1, "variants": 2}


def quiet(what: str, done: int, total: int) -> None:
    pass


def trained(prepared, **options) -> dict[str, torch.Tensor]:
    return load_file(train_adapter(prepared, Recipe(**QUICK, **options), quiet).file)


def test_every_twin_is_sampled_and_every_view_is_cached_once(prepared):
    options = regularize.Options(base="miniature", steps=1, count=2, device="cpu")
    plan = regularize.plan(prepared, options)
    with prepared.transaction():
        prepared.put_decisions(prepared.begin_run("regularize", {}), plan.fields, plan.decisions)
    assert regularize.work(prepared, options, quiet) == {"pictures made": 12, "pictures already there": 0}
    captions = [
        Path(prepared.root / f"regularization/Lumi/0 ✨ [x]{end}.txt").read_text(encoding="utf-8") for end in ("", "-2")
    ]
    assert captions[0] == captions[1] != ""
    recipe = Recipe(**QUICK, **VARIED)
    found = examples(prepared, recipe)
    assert all(len(each.twins) == 2 and len(each.views) == 4 for each in found)
    one, two = found[0].twins
    assert one.picture.content != two.picture.content and one.matched
    first = trained(prepared, name="one", **VARIED)
    keys = {picture.key for each in found for picture in each.pictures()}
    assert (
        len(lying(prepared.root / "cache" / "latents"))
        == len(keys)
        == 6 * (1 + 4) + len({twin.picture.key for each in found for twin in each.twins}) * 5
    )
    again = trained(prepared, name="two", **VARIED)
    assert all(torch.equal(first[key], again[key]) for key in first)
    plain = trained(prepared, name="three")
    assert any(not torch.equal(first[key], plain[key]) for key in first)
