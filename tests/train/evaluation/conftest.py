"""The miniature, a small adapter on it, and a set's examples with their latents."""

import pytest
import torch

from train.adapters.adapter import Adapter, AdapterConfig
from train.data.dataset import examples
from train.data.latent_cache import LatentCache
from train.models.load import load_base
from train.options.recipe import make_recipe


@pytest.fixture(scope="module")
def base():
    return load_base("miniature", device="cpu")


@pytest.fixture
def adapter(base, request):
    """A small adapter whose weights make a difference, attached to the base model; with the text encoder if asked to."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        text = getattr(request, "param", False)
        made = Adapter(
            AdapterConfig(algorithm="lora", rank=4, alpha=4.0, text_encoder=text), base.unet, base.text_encoder
        )
        for weight in made.parameters():
            torch.nn.init.normal_(weight, std=0.05)
    made.attach()
    yield made
    made.detach()


@pytest.fixture
def cached(prepared, base):
    """The set's examples and their cached latents."""
    found = examples(prepared, make_recipe(base="miniature").dataset)
    latents = LatentCache(prepared.root / "cache" / "latents", base)
    latents.fill([example.image for example in found], lambda what, done, total: None)
    return found, latents
