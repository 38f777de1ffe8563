import pytest
import torch

from train.adapters.adapter import Adapter, AdapterConfig
from train.data.dataset import examples
from train.data.latent_cache import LatentCache
from train.evaluation.image_losses import losses_per_image
from train.evaluation.outliers import ImageLoss
from train.evaluation.validation import Validation
from train.models.load import load_base
from train.options.recipe import make_recipe, with_values

RECIPE = make_recipe(base="miniature", device="cpu", validation_times=2)


def quiet(what: str, done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def base():
    return load_base("miniature", device="cpu")


@pytest.fixture(params=[False, True], ids=["frozen text", "trained text"])
def adapter(base, request):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = Adapter(
            AdapterConfig(algorithm="lora", rank=4, alpha=4.0, text_encoder=request.param), base.unet, base.text_encoder
        )
        for weight in made.parameters():
            torch.nn.init.normal_(weight, std=0.05)
    made.attach()
    yield made
    made.detach()


@pytest.fixture
def cached(prepared, base):
    found, latents = examples(prepared, RECIPE), LatentCache(prepared.root / "cache" / "latents", base)
    latents.fill([example.image for example in found], quiet)
    return found, latents


def measured(base, adapter, cached, recipe=RECIPE, progress=quiet) -> tuple[ImageLoss, ...]:
    found, latents = cached
    levels = base.alphas_cumprod
    return losses_per_image(base, adapter, found, latents, levels, recipe, times=2, noises=1, progress=progress)


def test_losses_with_an_adapter_are_those_of_validation_and_without_those_of_the_base_model(base, adapter, cached):
    recipe = with_values(RECIPE, train_text_encoder=adapter.config.text_encoder)
    found = measured(base, adapter, cached, recipe)
    look = Validation(recipe, base, adapter, cached[1], base.alphas_cumprod, cached[0], [])()
    assert {each.key: each.adapter for each in found} == pytest.approx(look.images, abs=1e-6)
    adapter.detach()
    alone = measured(base, None, cached, recipe)
    adapter.attach()
    assert [each.base for each in found] == pytest.approx([each.base for each in alone], abs=1e-6)
    assert all(each.adapter is None and each.change is None for each in alone)
    assert all(each.adapter != each.base for each in found)


def test_the_adapter_has_its_strength_again_after_a_failure(base, adapter, cached):
    def stop(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    look = Validation(RECIPE, base, adapter, cached[1], base.alphas_cumprod, cached[0][:1], [])
    before = look()
    with pytest.raises(KeyboardInterrupt):
        measured(base, adapter, cached, progress=stop)
    assert look() == before


def test_progress_counts_every_sample_of_both_models(base, adapter, cached):
    told = []
    measured(base, adapter, cached, progress=lambda *row: told.append(row))
    assert told[-1] == ("looking with the adapter", 12, 12)
    assert ("looking with the base model", 12, 12) in told
