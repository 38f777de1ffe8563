"""A device whose memory is full: fewer at a time where that can be, else words that say what helps and by how much."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.core.errors import PrepError
from pipeline.store.values.bucket import Bucket
from train.data.augmentation import ImageView
from train.data.latent_cache import LatentCache
from train.device import halving, out_of_memory
from train.models.load import load_base
from train.models.sampling import generate as generation
from train.models.sampling.generate import Request, generate
from train.options.recipe import make_recipe
from train.plan.base_shapes import shapes_of
from train.plan.fit import decide, load_of, savings

FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
CPU = torch.device("cpu")


def at_most(most: int):
    """Work that has memory for so many at once."""

    def work(items):
        if len(items) > most:
            raise FULL
        return sum(items)

    return work


def test_halves_are_tried_until_they_fit_and_all_are_done_in_order():
    done = list(halving(list(range(7)), at_most(2), CPU, "counting"))
    assert [each for part, _ in done for each in part] == list(range(7))
    assert all(len(part) <= 2 and made == sum(part) for part, made in done)
    assert [part for part, _ in halving([1, 2, 3], at_most(3), CPU, "counting")] == [[1, 2, 3]]


def test_one_that_does_not_fit_is_an_error_with_what_to_try_and_others_pass_through():
    with pytest.raises(PrepError) as caught:
        list(halving([1, 2], at_most(0), CPU, "counting"))
    assert "counting needs more memory than cpu has free, even for one image" in caught.value.message
    assert "--device cpu" in caught.value.hint
    with pytest.raises(ZeroDivisionError):
        list(halving([1], lambda _: 1 / 0, CPU, "counting"))


def test_what_says_that_memory_is_full():
    assert out_of_memory(FULL) and out_of_memory(MemoryError())
    assert out_of_memory(
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes")
    )
    assert not out_of_memory(RuntimeError("shapes cannot be multiplied"))


@pytest.fixture(scope="module")
def base():
    return load_base("miniature", device="cpu")


def test_images_are_generated_fewer_at_a_time_and_are_the_same(base, monkeypatch):
    requests = [Request("1girl", seed, (64, 64), "", steps=2, guidance=7.0) for seed in range(4)]
    expected = generate(base, requests, batch_size=1)
    tried, sampled = [], generation._sampled

    def limited(base, requests, alike, *more):
        tried.append(len(alike))
        if len(alike) > 1:
            raise FULL
        return sampled(base, requests, alike, *more)

    monkeypatch.setattr(generation, "_sampled", limited)
    images = generate(base, requests, batch_size=4)
    assert tried == [4, 2, 1, 1, 2, 1, 1]
    for image, single in zip(images, expected, strict=True):
        assert int(np.abs(np.asarray(image, np.int16) - np.asarray(single, np.int16)).max()) <= 1, "of 255, rounded"


def test_an_image_too_large_to_decode_whole_is_decoded_in_tiles(base, monkeypatch):
    decode = base.vae.decode
    monkeypatch.setattr(base.vae, "decode", lambda latents: decode(latents) if base.vae.use_tiling else full())
    (image,) = generate(base, [Request("1girl", 1, (64, 64), "", steps=2, guidance=1.0)])
    assert image.size == (64, 64) and not base.vae.use_tiling


def full():
    raise FULL


def views_of(folder: Path, count: int) -> list[ImageView]:
    found = []
    for number in range(count):
        file = folder / f"{number}.png"
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)).save(file)
        found.append(ImageView(f"{number}", file, Bucket((32, 32), (32, 32), (0, 0, 32, 32))))
    return found


def test_images_are_encoded_fewer_at_a_time(base, tmp_path, monkeypatch):
    views = views_of(tmp_path, 4)
    whole, parts = LatentCache(tmp_path / "whole", base), LatentCache(tmp_path / "parts", base)
    whole.fill(views, lambda *_: None)
    coded = parts._coded
    monkeypatch.setattr(parts, "_coded", lambda batch, dtype: full() if len(batch) > 2 else coded(batch, dtype))
    parts.fill(views, lambda *_: None)
    for view in views:
        assert torch.allclose(parts.read(view).mean, whole.read(view).mean, atol=1e-5)


def test_what_helps_is_told_with_how_much_the_most_first():
    recipe = make_recipe(base="miniature", device="cpu", batch_size=8)
    shapes, _ = shapes_of(recipe.model)
    sizes = [(64, 64)]
    decided = decide(recipe, shapes, sizes, False).recipe
    said = list(savings(decided, shapes, load_of(decided, shapes, sizes, False)))
    assert any(each.startswith("batch_size = 4 (") and each.endswith(" less)") for each in said)
    assert any(each.startswith("gradient_checkpointing = true (") for each in said)
