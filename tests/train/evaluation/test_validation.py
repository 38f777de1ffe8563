from dataclasses import replace

import pytest
import torch
from small_models import parameters_of
from tolerance import LOSS

from pipeline.core.errors import PrepError
from pipeline.store.training_log import BANDS
from train.adapters.adapter import Adapter, AdapterConfig
from train.evaluation.validation import (
    Evaluator,
    Grid,
    Validation,
    band_of,
    conditioner,
    evaluating,
    even_grid,
    plain_caption,
)
from train.models.sampling.noise_schedule import noised, training_alphas_cumprod
from train.models.sampling.seeded_noise import normal
from train.models.text.conditioning import Conditioning
from train.models.text.text_encoding import text_conditioning
from train.optimization.objective import target
from train.options.recipe import make_recipe, with_values
from train.session import evaluator

RECIPE = make_recipe(base="miniature", device="cpu", validation_times=3, validation_noise_samples=2)


def quiet(what: str, done: int, total: int) -> None:
    pass


def validation(base, adapter, cached, held_out=2, recipe=RECIPE, **more):
    found, latents = cached
    alphas_cumprod = training_alphas_cumprod(base.alphas_cumprod, base.prediction, False)
    evaluation = replace(evaluator(recipe, base, latents, alphas_cumprod, torch.float32), **more)
    options = recipe.validation
    grid = even_grid(options.validation_times, options.validation_noise_samples, recipe.run.seed, len(alphas_cumprod))
    return Validation(evaluation, adapter, grid, found[:held_out], found[held_out:], recipe.captions)


class Half:
    """One of two processes that work beside each other, and what both found."""

    def __init__(self, rank: int, found: list[torch.Tensor]) -> None:
        self.rank, self.found = rank, found

    def shard(self, items):
        return items[self.rank :: 2]

    def all_reduce_sum(self, tensor):
        self.found.append(tensor)
        return tensor


# --- the grid


def test_timesteps_are_the_middles_of_equal_parts():
    assert even_grid(4, 1, 0, 1000).times == (125, 375, 625, 875)
    assert even_grid(1, 1, 0, 1000).times == (500,)
    assert even_grid(3, 1, 0, 10).times == (1, 5, 8)
    assert even_grid(1000, 1, 0, 1000).times == tuple(range(1000))


def test_each_of_four_timesteps_is_in_a_band_of_its_own():
    assert tuple(band_of(time, 1000) for time in even_grid(4, 1, 0, 1000).times) == BANDS
    assert [band_of(time, 1000) for time in (0, 249, 250, 999)] == [BANDS[0], BANDS[0], BANDS[1], BANDS[3]]


# --- the loss


def test_the_loss_of_a_model_that_predicts_nothing_is_the_mean_square_of_the_noise(base, cached, monkeypatch):
    found, latents = cached
    monkeypatch.setattr(type(base), "predict", lambda self, noisy, times, conditioning: torch.zeros_like(noisy))
    evaluation = Evaluator(base, latents, base.alphas_cumprod, conditioner(base, RECIPE.text, False), 75)
    losses = evaluation.losses(found[:1], ["Lumi"], Grid((500,), 1, seed=7))
    shape = tuple(latents.read(found[0].image).mean.shape)
    noise = normal(shape, "validation", 7, found[0].image.content, 500, 0)
    assert losses.shape == (1, 1, 1) and losses.item() == pytest.approx(float((noise**2).mean()))


def test_the_loss_of_a_sample_worked_out_by_itself(base, adapter, cached):
    found, latents = cached
    scores = validation(
        base, adapter, cached, recipe=with_values(RECIPE, validation_times=1, validation_noise_samples=1)
    )()
    example = found[1]
    clean = latents.read(example.image).mean[None]
    noise = normal(tuple(clean.shape[1:]), "validation", RECIPE.run.seed, example.image.content, 500, 0)[None]
    alpha_prod = base.alphas_cumprod[500:501]
    with torch.no_grad():
        states = text_conditioning(base, [example.caption])
        said = base.predict(noised(clean, noise, alpha_prod), torch.tensor([500]), states)
    by_hand = float((said - target(clean, noise, alpha_prod, "epsilon")).square().mean())
    assert scores.images[example.entry.key] == pytest.approx(by_hand, rel=LOSS)


def test_weighting_and_loss_of_the_recipe_change_nothing_so_that_runs_compare(base, adapter, cached):
    plain = with_values(RECIPE, weighting="none", min_snr_gamma=5.0)
    other = with_values(
        RECIPE, weighting="debiased", loss="huber", noise_offset=0.1, caption_dropout=0.9, tag_dropout=0.5
    )
    assert validation(base, adapter, cached, recipe=plain)() == validation(base, adapter, cached, recipe=other)()


# --- always the same


def test_two_looks_at_equal_weights_are_equal_to_the_bit_whatever_was_drawn_meanwhile(base, adapter, cached):
    evaluation = validation(base, adapter, cached)
    before = torch.random.get_rng_state()
    first = evaluation()
    assert torch.equal(torch.random.get_rng_state(), before), "a look draws nothing from training's generator"
    torch.rand(1000)
    assert evaluation() == first == validation(base, adapter, cached)()


@pytest.mark.parametrize("together", [1, 2, 5, 64])
def test_any_batch_size_gives_the_same(base, adapter, cached, together):
    whole, split_examples = (validation(base, adapter, cached, together=size)() for size in (8, together))
    assert split_examples.held_out.mean == pytest.approx(whole.held_out.mean, rel=LOSS)
    assert split_examples.train_subset.mean == pytest.approx(whole.train_subset.mean, rel=LOSS)
    assert split_examples.images == pytest.approx(whole.images, rel=LOSS)


def test_an_image_is_looked_at_in_the_same_way_in_any_company(base, adapter, cached):
    found, latents = cached
    long = replace(found[0], caption=", ".join(f"red hair {number}" for number in range(40)))
    recipe = with_values(RECIPE, max_tokens=225)
    alone = validation(base, adapter, (found[2:4], latents), held_out=1, recipe=recipe)()
    beside = validation(base, adapter, ((found[2], found[3], long), latents), held_out=1, recipe=recipe)()
    key = found[2].entry.key
    assert beside.images[key] == pytest.approx(alone.images[key], rel=LOSS), "a longer caption pads no other one"


def test_another_seed_validates_with_other_noise(base, adapter, cached):
    one, other = (validation(base, adapter, cached, recipe=with_values(RECIPE, seed=seed))() for seed in (1, 2))
    assert one.held_out.mean != other.held_out.mean


def test_two_processes_find_together_what_one_finds(base, adapter, cached):
    found, latents = cached
    captions, grid = [example.caption for example in found], Grid((100, 700), 2, 5)
    halves: list[torch.Tensor] = []
    args = base, latents, base.alphas_cumprod, conditioner(base, RECIPE.text, False), 75
    whole = Evaluator(*args).losses(found, captions, grid)
    for rank in range(2):
        Evaluator(*args, world=Half(rank, halves)).losses(found, captions, grid)
    assert torch.allclose(sum(halves), whole, rtol=LOSS, atol=0)
    assert [int((half == 0).sum()) for half in halves] == [12, 12], "each has looked at its half"


def test_a_trained_text_encoder_is_read_anew_in_each_look(base, cached):
    recipe = with_values(RECIPE, train_text_encoder=True)
    made = Adapter(AdapterConfig(algorithm="lora", rank=4, alpha=4.0, text_encoder=True), base.unet, base.text_encoder)
    made.attach()
    try:
        evaluation = validation(base, made, cached, recipe=recipe)
        before = evaluation()
        with torch.no_grad():
            for weight in parameters_of(made, "te"):
                weight.add_(0.1)
        assert evaluation().held_out.mean != before.held_out.mean
    finally:
        made.detach()


def test_a_frozen_text_encoder_is_read_once_for_all_looks(base, adapter, cached, monkeypatch):
    evaluation, calls = validation(base, adapter, cached), []
    read = base.text_encoder.forward
    monkeypatch.setattr(base.text_encoder, "forward", lambda *args, **more: calls.append(1) or read(*args, **more))
    evaluation()
    count = len(calls)
    evaluation()
    assert 0 < count == len(calls)


# --- what is said of them


def test_means_by_side_concept_and_band_worked_by_hand(base, adapter, cached, monkeypatch):
    found, latents = cached
    named = (replace(found[0], concept="b"), replace(found[1], concept="a"), *found[2:4])

    def losses(self, examples, captions, grid):
        # image, timestep, noise: 1 to 16
        return torch.arange(1.0, 17.0).reshape(4, 2, 2)

    monkeypatch.setattr(Evaluator, "losses", losses)
    recipe = with_values(RECIPE, validation_times=2, validation_noise_samples=2)
    scores = validation(base, adapter, (named, latents), held_out=2, recipe=recipe)()
    assert (scores.held_out.mean, scores.train_subset.mean, scores.compared) == (4.5, 12.5, 4.5)
    assert scores.held_out.concepts == {"a": 6.5, "b": 2.5} and scores.train_subset.concepts == {"Lumi": 12.5}
    assert scores.held_out.bands == {"250-500": 3.5, "750-1000": 5.5}, "timesteps 250 and 750"
    assert list(scores.images.values()) == [2.5, 6.5, 10.5, 14.5]


def test_a_side_without_images_has_no_scores(base, adapter, cached):
    scores = validation(base, adapter, cached, held_out=0)()
    assert scores.held_out is None and len(scores.images) == 6 and scores.compared == scores.train_subset.mean


def test_an_overfitted_adapter_shows_a_gap_between_validation_and_train_subset(base, cached):
    found, latents = cached
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = Adapter(AdapterConfig(algorithm="lora", rank=8, alpha=8.0), base.unet, base.text_encoder)
    made.attach()
    try:
        evaluation = validation(base, made, cached, held_out=4)
        before = evaluation()
        learn_by_heart(base, made, found[4:], latents, steps=36)
        after = evaluation()
    finally:
        made.detach()
    assert after.train_subset.mean < 0.7 * before.train_subset.mean, "what was trained on is known"
    assert after.held_out.mean > before.held_out.mean, "and the others for that a little less"


def learn_by_heart(base, adapter, found, latents, steps: int) -> None:
    """Train on two images of two sizes, one after the other."""
    optimizer = torch.optim.AdamW(adapter.parameters(), lr=1e-2)
    with torch.no_grad():
        states = [text_conditioning(base, [example.caption]) for example in found]
    for step in range(steps):
        example, conditioning = found[step % len(found)], states[step % len(found)]
        clean = latents.read(example.image).mean.expand(4, -1, -1, -1)
        noise = normal(tuple(clean.shape), "by heart", step)
        times = torch.tensor([(37 * (4 * step + place)) % 1000 for place in range(4)])
        alpha_prod = base.alphas_cumprod[times]
        repeated = Conditioning(conditioning.states.expand(4, -1, -1))
        said = base.predict(noised(clean, noise, alpha_prod), times, repeated)
        (said - noise).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


def test_a_loss_that_is_not_finite_names_the_images(base, adapter, cached):
    with torch.no_grad():
        next(adapter.parameters()).fill_(torch.inf)
    with pytest.raises(PrepError, match=r"not finite for .*0 ✨ \[x\]\.png, .*4 ✨ \[x\]\.png and 1 more"):
        validation(base, adapter, cached)()


# --- what is left as it was


def test_models_are_at_rest_in_a_look_and_as_they_were_after_it():
    model = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Sequential(torch.nn.Dropout()))
    model.train()
    model[1].eval()
    with pytest.raises(KeyError), evaluating(model):
        assert not any(module.training for module in model.modules())
        raise KeyError
    assert [module.training for module in model] == [True, False] and model.training


def test_captions_are_read_as_written_with_nothing_shuffled_or_left_out(cached):
    example = replace(cached[0][0], caption="Lumi ||| {red|blue} hair, night\nsecond, line")
    recipe = make_recipe(caption_prefix="art", caption_dropout=0.5, tag_dropout=0.5)
    assert plain_caption(example, recipe.captions) == "art, Lumi, {red|blue} hair, night, second, line"
    assert (
        plain_caption(example, with_values(recipe, wildcards=True, caption_lines="one").captions)
        == "art, Lumi, red hair, night"
    )
