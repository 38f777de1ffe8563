"""A whole run with views and several regularization images: made, cached, shown in turn, and the same once more."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from pipeline.stages import regularize
from train.data.dataset import examples
from train.data.latent_files import lying
from train.options.recipe import make_recipe
from train.session import train_adapter

QUICK = {"base": "miniature", "rank": 2, "batch_size": 2, "steps": 4, "save_precision": "fp32", "device": "cpu"}
VARIED = {"flip": True, "flip_guard": ("never said",), "color_jitter": 0.1, "variants": 2}


def quiet(what: str, done: int, total: int) -> None:
    pass


def trained(prepared, **options) -> dict[str, torch.Tensor]:
    return load_file(train_adapter(prepared, make_recipe(**QUICK, **options), quiet).file)


def test_every_reg_image_is_sampled_and_every_view_is_cached_once(prepared):
    options = regularize.Options(base="miniature", steps=1, count=2, device="cpu")
    plan = regularize.plan(prepared, options)
    with prepared.transaction():
        prepared.put_decisions(prepared.begin_run("regularize", {}), plan.fields, plan.decisions)
    assert regularize.work(prepared, options, quiet).counts == {"images_made": 12, "images_already_there": 0}
    captions = [
        Path(prepared.root / f"regularization/Lumi/0 ✨ [x]{end}.txt").read_text(encoding="utf-8") for end in ("", "-2")
    ]
    assert captions[0] == captions[1] != ""
    recipe = make_recipe(**QUICK, **VARIED)
    found = examples(prepared, recipe.dataset)
    assert all(len(each.reg_images) == 2 and len(each.views) == 4 for each in found)
    one, two = found[0].reg_images
    assert one.image.content != two.image.content and one.matched
    first = trained(prepared, name="one", **VARIED)
    keys = {image.key for each in found for image in each.images()}
    assert (
        len(lying(prepared.root / "cache" / "latents"))
        == len(keys)
        == 6 * (1 + 4) + len({reg_image.image.key for each in found for reg_image in each.reg_images}) * 5
    )
    again = trained(prepared, name="two", **VARIED)
    assert all(torch.equal(first[key], again[key]) for key in first)
    plain = trained(prepared, name="three")
    assert any(not torch.equal(first[key], plain[key]) for key in first)
