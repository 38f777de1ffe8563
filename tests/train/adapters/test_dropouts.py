"""Dropouts leave out their share, keep the expected change and repeat exactly; DyLoRA nests ranks."""

import pytest
import torch
from small_models import INPUTS, moved, small_text, small_unet, trained_layer
from tolerance import near
from torch import nn

from train.adapters.adapter import Adapter, AdapterConfig
from train.adapters.config import LayerConfig
from train.adapters.inject.base_layer import BaseLayer
from train.adapters.inject.dropout import Clock, Dropout, StepContext
from train.adapters.inject.initial_weights import initial_weights
from train.adapters.registry import ALGORITHMS

# --- dropouts


UP, DOWN = "lora_up.weight", "lora_down.weight"


def attached(ranks, **shares):
    torch.manual_seed(0)
    layer = nn.Linear(16, 16, bias=False)
    module, _ = trained_layer("lora", {UP: torch.randn(16, ranks), DOWN: torch.randn(ranks, 16)})
    clock = Clock(StepContext(("seed", 1), (("a",), ("b",))))
    return BaseLayer.of(layer), module, Dropout("layer", clock, **shares), clock


def test_rank_dropout_leaves_out_its_share_of_ranks_and_enlarges_the_others():
    _, module, dropout, clock = attached(2000, rank=0.3)
    kept = dropout.ranks(module.tensors[UP])
    values, counts = kept.unique(return_counts=True)
    assert values.tolist() == pytest.approx([0.0, 1 / 0.7])
    share = (0.3 * 0.7 / 2000) ** 0.5  # the standard deviation of 2000 throws
    assert counts[0].item() / 2000 == pytest.approx(0.3, abs=4 * share)
    assert kept.mean().item() == pytest.approx(1.0, abs=4 * share / 0.7)
    assert torch.equal(kept, dropout.ranks(module.tensors[UP])), "the same when computed twice"
    clock.step = StepContext(("seed", 2))
    assert not torch.equal(kept, dropout.ranks(module.tensors[UP]))
    clock.step = None
    assert dropout.ranks(module.tensors[UP]) is None


def test_the_output_with_ranks_left_out_is_that_of_the_others_enlarged():
    base_layer, module, dropout, _ = attached(8, rank=0.5)
    x = torch.randn(3, 16)
    kept = dropout.ranks(module.tensors[UP])
    assert 0 < (kept == 0).sum() < 8
    wanted = base_layer.plain(x) + (x @ module.tensors[DOWN].T * kept) @ module.tensors[UP].T * module.scale
    assert near(module.output(base_layer, x, 1.0, dropout), wanted, products=16)


@pytest.mark.parametrize("algorithm", ["lora", "loha", "lokr", "glora"])
@pytest.mark.parametrize("dora", [False, True])
def test_rank_dropout_keeps_the_expected_change(algorithm, dora):
    if dora and algorithm == "glora":
        pytest.skip("has no magnitude")
    torch.manual_seed(3)
    layer = nn.Linear(16, 16, bias=False).requires_grad_(False)
    tensors = initial_weights(ALGORITHMS[algorithm], "l", layer, LayerConfig(rank=3, alpha=3.0, factor=2, dora=dora))
    tensors = {
        key: value if key == "alpha" else value + 0.02 * torch.randn(value.shape) for key, value in tensors.items()
    }
    (module, _), base_layer, clock = trained_layer(algorithm, tensors), BaseLayer.of(layer), Clock()
    x = torch.eye(16)
    whole = module.output(base_layer, x, 1.0, Dropout("l", clock)) - layer(x)
    dropout, seen = Dropout("l", clock, rank=0.25), []
    for step in range(600):
        clock.step = StepContext((step,))
        seen.append(module.output(base_layer, x, 1.0, dropout).detach() - layer(x))
    mean = torch.stack(seen).mean(0)
    assert torch.stack(seen).std(0).max() > 0
    # a rank of three stays with 3/4 and weighs 4/3: a mean of 600 is off by sqrt(1/3 / 600) = 0.024 for each, with the
    # products of several that loha and lokr make a few times that
    assert (mean - whole).norm() / whole.norm() < 5 * 0.024


def test_module_dropout_skips_its_share_of_steps_and_neuron_dropout_differs_by_image():
    _, _, dropout, clock = attached(8, module=0.25)
    skipped = 0
    for step in range(800):
        clock.step = StepContext((step,))
        skipped += dropout.skipped()
    assert skipped / 800 == pytest.approx(0.25, abs=3 * (0.25 * 0.75 / 800) ** 0.5), "three standard deviations"
    _, _, dropout, clock = attached(8, neuron=0.5)
    left = dropout.neurons(torch.ones(2, 500))
    assert set(left.unique().tolist()) == {0.0, 2.0} and not torch.equal(left[0], left[1])
    clock.step = StepContext(("seed", 1), (("b",), ("a",)))
    assert torch.equal(dropout.neurons(torch.ones(2, 500)), left.flip(0)), "an image's own, wherever it is in the batch"


def test_dropouts_act_within_training_steps_only_and_repeat_exactly():
    unet = small_unet()
    config = AdapterConfig(
        algorithm="lora", rank=8, alpha=8.0, rank_dropout=0.3, module_dropout=0.3, network_dropout=0.3
    )
    adapter = moved(Adapter(config, unet, small_text()))
    adapter.attach()
    rest = unet(*INPUTS).sample
    with adapter.dropping((1, 2), [("a",)]):
        first, again = unet(*INPUTS).sample, unet(*INPUTS).sample
    with adapter.dropping((1, 3), [("a",)]):
        other = unet(*INPUTS).sample
    assert torch.equal(first, again) and not torch.allclose(first, other) and not torch.allclose(first, rest)
    assert torch.equal(unet(*INPUTS).sample, rest)


# --- nested ranks


def test_dylora_trains_one_unit_with_the_ranks_before_it_and_alpha_over_all_of_them():
    torch.manual_seed(0)
    layer, clock = nn.Linear(6, 5, bias=False), Clock(StepContext((0,)))
    module, held = trained_layer("dylora", {UP: torch.randn(5, 8), DOWN: torch.randn(8, 6), "alpha": torch.tensor(4.0)})
    dropout, x, seen = Dropout("l", clock, unit=2), torch.randn(3, 6), set()
    up, down = held[UP], held[DOWN]
    for step in range(40):
        clock.step = StepContext((step,))
        start, end = dropout.block(8)
        seen.add(end)
        output = module.output(BaseLayer.of(layer), x, 1.0, dropout)
        wanted = layer(x) + 4.0 / end * x @ down[:end].T @ up[:, :end].T
        assert near(output, wanted, products=8)
        (learned,) = torch.autograd.grad(output.square().sum(), down)
        rows = learned.abs().sum(1).nonzero().flatten().tolist()
        assert rows == list(range(start, end))
    assert seen == {2, 4, 6, 8}
    cut, _ = trained_layer("lora", {UP: up[:, :4], DOWN: down[:4], "alpha": held["alpha"]})
    assert cut.scale == 4.0 / 4, "a file cut to rank 4 is read as it was trained there"
