"""Frozen weights in fewer bits, and parts that are on the device only while they are at work."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from train.models.base import BaseModel
from train.models.load import assembled, load_base
from train.models.loading.loaded import Loaded
from train.models.prefetch import Prefetch
from train.models.residency import Residency
from train.models.storage import (
    FLOAT8,
    Keeping,
    Numbers,
    in_float8,
    is_kept,
    keep,
    keep_all,
    kept_weight,
    packed,
    restored_again,
    stream,
)
from train.models.text.text_encoding import TextStates


def test_a_scale_by_hand():
    """The largest of an output is brought to at most 448: 0.5 by 2^-9 to 256, 448.5 by 2 to 224.25, which e4m3 has as 224."""
    kept, scale = in_float8(torch.tensor([[0.5, -0.25], [448.5, 1.0], [0.0, 0.0]]))
    assert scale.flatten().tolist()[:2] == [2.0**-9, 2.0]
    assert (kept.float() * scale)[:2].tolist() == [[0.5, -0.25], [448.0, 1.0]]
    assert (kept.float() * scale)[2].tolist() == [0.0, 0.0]


def test_what_was_in_e4m3_comes_back_exactly_and_the_rest_within_a_sixteenth():
    torch.manual_seed(1)
    weight = torch.randn(64, 32, 3, 3) * 0.02
    eighths = weight.to(FLOAT8).float()
    kept, scale = in_float8(eighths)
    assert torch.equal(kept.float() * scale, eighths)
    kept, scale = in_float8(weight)
    off = (kept.float() * scale - weight).abs()
    assert bool((off <= torch.maximum(weight.abs() / 16, scale * 2.0**-10)).all())


@pytest.mark.parametrize(
    ("numbers", "found", "stored"),
    [
        (Numbers(), torch.float16, torch.float32),
        (Numbers(torch.float32, "half"), torch.float16, torch.float16),
        (Numbers(torch.float32, "half"), torch.float32, torch.bfloat16),
        (Numbers(torch.bfloat16), torch.float16, torch.bfloat16),
        (Numbers(torch.bfloat16, "fp8"), torch.float16, FLOAT8),
    ],
)
def test_what_weights_of_a_file_are_kept_in(numbers, found, stored):
    assert numbers.stored(found) is stored


def test_a_layer_that_keeps_halves_computes_what_one_of_whole_weights_does_forward_and_back():
    torch.manual_seed(2)
    layer = nn.Linear(8, 4).requires_grad_(False)
    layer.weight.copy_(layer.weight.half())
    whole = nn.Linear(8, 4).requires_grad_(False)
    whole.load_state_dict(layer.state_dict())
    numbers = Numbers(torch.float32, "half")
    keep(layer, *packed(layer.weight.detach().half(), torch.float16), numbers)
    assert is_kept(layer) and kept_weight(layer).dtype is torch.float16 and layer.weight.dtype is torch.float32
    found = []
    for each in (layer, whole):
        x = torch.arange(16.0).reshape(2, 8).requires_grad_()
        with restored_again(each):
            y = each(x)
        y.square().sum().backward()
        found.append((y.detach(), x.grad))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize("layer", [nn.Linear(64, 64), nn.Conv2d(64, 64, 3)])
def test_restored_weights_are_not_kept_for_the_way_back(layer):
    keep_all(layer.requires_grad_(False), Numbers(torch.float32, "fp8"))
    x = torch.ones(1, 64, 8, 8) if isinstance(layer, nn.Conv2d) else torch.ones(1, 64)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: saved.append(tensor) or tensor, lambda tensor: tensor):
        layer(x.requires_grad_())
    assert any(tensor.numel() == layer.weight.numel() for tensor in saved), "as autograd would by itself"
    made = layer.parametrizations.weight[0]
    with restored_again(layer):
        y = layer(x)
        assert len(made.made) == 0, "nothing holds a restored weight when the layer is done"
    y.sum().backward()
    assert x.grad is not None and made.made is None


def test_a_bias_computes_as_the_layer_does():
    layer = nn.Conv2d(3, 2, 1).requires_grad_(False)
    keep_all(layer, Numbers(torch.bfloat16))
    assert (layer.weight.dtype, layer.bias.dtype, is_kept(layer)) == (torch.bfloat16, torch.bfloat16, False)


# --- places


@pytest.fixture(scope="module")
def lean() -> BaseModel:
    whole = load_base("miniature", device="cpu")
    found = Loaded(whole.kind, whole.tokenizers, whole.text_encoders, whole.vae, whole.unet, None, whole.prediction)
    made = assembled("miniature", whole.folder, replace_schedule(found, whole), whole.device, Keeping(lean=True))
    return made


def replace_schedule(found: Loaded, base: BaseModel) -> Loaded:
    class Schedule:
        alphas_cumprod = base.alphas_cumprod

    return replace(found, scheduler=Schedule())


def test_only_what_is_at_work_is_on_the_device(lean):
    assert isinstance(lean.residency, Residency) and lean.residency.present == frozenset()
    with lean.using("unet"):
        assert lean.residency.present == {"unet"}
        with lean.using("text"):
            assert lean.residency.present == {"text"}
        assert lean.residency.present == {"unet"}
        with lean.using("unet", "text"):
            assert lean.residency.present == {"unet", "text"}
            with lean.using("text"):
                assert lean.residency.present == {"unet", "text"}, "what is there need not leave"
    assert lean.residency.present == frozenset()


def test_a_part_comes_back_with_the_very_weights_it_had_on_the_host(lean):
    before = dict(lean.unet.named_parameters())
    with lean.using("unet"):
        pass
    after = dict(lean.unet.named_parameters())
    assert all(after[name].data_ptr() == weight.data_ptr() for name, weight in before.items())
    assert not any(weight.requires_grad for weight in after.values())


def test_texts_that_were_read_ahead_are_not_read_again(lean, monkeypatch):
    states = TextStates(lean)
    assert states.read_ahead([["a cat"], ["a dog", "a cat"]]) == 2
    expected = TextStates(load_base("miniature", device="cpu"))(["a dog", "a cat"]).states
    monkeypatch.setattr("train.models.text.text_encoding.row_states", lambda *_: pytest.fail("read again"))
    assert torch.equal(states(["a dog", "a cat"]).states, expected)


def test_as_many_batches_are_read_ahead_as_can_be_kept(lean):
    row = 77 * lean.text_encoder.config.hidden_size * 4
    states = TextStates(lean, most_bytes=2 * row)
    assert states.read_ahead([["one"], ["two"], ["three"]]) == 2
    assert states.read_ahead([["one", "two", "three"]]) == 1, "a batch at least"
    assert math.isclose(row, states._row_bytes())


def test_a_vae_kept_as_its_file_has_it_has_the_digest_and_the_latents_it_had():
    one, other = load_base("miniature", device="cpu"), load_base("miniature", device="cpu")
    for base in (one, other):
        for weight in base.vae.parameters():
            weight.copy_(weight.half())
    for layer in other.vae.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            keep(layer, layer.weight.detach().half(), None, Numbers(kept="file"))
    assert one.vae_digest == other.vae_digest
    image = torch.zeros(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(one.vae.encode(image).latent_dist.mean, other.vae.encode(image).latent_dist.mean)


# --- weights that stay on the host


def test_what_came_after_two_is_brought_ahead_forward_and_back():
    prefetch = Prefetch(torch.device("cpu"))
    kept = [torch.full((2,), float(number)) for number in range(4)]
    step = [*kept, *reversed(kept)]
    for _ in range(3):
        assert [float(prefetch.take(each)[0]) for each in step] == [0, 1, 2, 3, 3, 2, 1, 0]
    assert prefetch.guessed >= 2 * (len(step) - 1), "from the second step on"


def test_a_wrong_guess_changes_nothing():
    prefetch = Prefetch(torch.device("cpu"))
    one, two, three = (torch.full((2,), float(number)) for number in range(3))
    for order in ((one, two, three), (one, two, one), (two, one, three)):
        assert [float(prefetch.take(each)[0]) for each in order] == [float(each[0]) for each in order]


@pytest.mark.parametrize("kept", ["full", "fp8"])
def test_layers_that_come_one_at_a_time_compute_the_same_and_stay_where_they_are(kept):
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 4)).requires_grad_(False)
    other = copy.deepcopy(model)
    keep_all(other, Numbers(kept=kept))
    keep_all(model, Numbers(kept=kept, streamed=True))
    stream(model, torch.device("cpu"))
    residency = Residency(torch.device("cpu"), {"unet": [model]})
    x = torch.ones(2, 8).requires_grad_()
    for _ in range(2):
        with residency.using("unet"), restored_again(model):
            y = model(x)
            y.sum().backward()
    assert torch.equal(y, other(x))
    assert model[0].parametrizations.weight[0].prefetch.guessed > 0
    held = {name for name, _, _ in ((name, 0, 0) for _, name, _ in residency._tensors("unet"))}
    assert "original" not in held, "what stays on the host is no part that comes and goes"
