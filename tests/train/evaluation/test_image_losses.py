import pytest
import torch
from tolerance import LOSS

from train.evaluation.image_losses import losses_per_image
from train.evaluation.outliers import ImageLoss
from train.evaluation.validation import Validation, even_grid
from train.options.recipe import make_recipe, with_values
from train.session import evaluator

RECIPE = make_recipe(base="miniature", device="cpu", validation_times=2)


def quiet(what: str, done: int, total: int) -> None:
    pass


BOTH = pytest.mark.parametrize("adapter", [False, True], ids=["frozen text", "trained text"], indirect=True)


def validation(recipe, base, adapter, latents, held) -> Validation:
    options, alphas_cumprod = recipe.validation, base.alphas_cumprod
    grid = even_grid(options.validation_times, options.validation_noise_samples, recipe.run.seed, len(alphas_cumprod))
    return Validation(
        evaluator(recipe, base, latents, alphas_cumprod, torch.float32), adapter, grid, held, [], recipe.captions
    )


def measured(base, adapter, cached, recipe=RECIPE, progress=quiet) -> tuple[ImageLoss, ...]:
    found, latents = cached
    alphas_cumprod = base.alphas_cumprod
    evaluation = evaluator(recipe, base, latents, alphas_cumprod, torch.float32)
    grid = even_grid(2, 1, recipe.run.seed, len(alphas_cumprod))
    return losses_per_image(evaluation, adapter, found, recipe.captions, grid, progress)


@BOTH
def test_losses_with_an_adapter_are_those_of_validation_and_without_those_of_the_base_model(base, adapter, cached):
    recipe = with_values(RECIPE, train_text_encoder=adapter.config.text_encoder)
    found = measured(base, adapter, cached, recipe)
    evaluation = validation(recipe, base, adapter, cached[1], cached[0])()
    assert {each.key: each.adapter for each in found} == pytest.approx(evaluation.images, rel=LOSS)
    adapter.detach()
    alone = measured(base, None, cached, recipe)
    adapter.attach()
    assert [each.base for each in found] == pytest.approx([each.base for each in alone], rel=LOSS)
    assert all(each.adapter is None and each.change is None for each in alone)
    assert all(each.adapter != each.base for each in found)


@BOTH
def test_the_adapter_has_its_strength_again_after_a_failure(base, adapter, cached):
    def stop(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    evaluation = validation(RECIPE, base, adapter, cached[1], cached[0][:1])
    before = evaluation()
    with pytest.raises(KeyboardInterrupt):
        measured(base, adapter, cached, progress=stop)
    assert evaluation() == before


@BOTH
def test_progress_counts_every_sample_of_both_models(base, adapter, cached):
    reported = []
    measured(base, adapter, cached, progress=lambda *row: reported.append(row))
    assert reported[-1] == ("evaluating the adapter", 12, 12)
    assert ("evaluating the base model", 12, 12) in reported
