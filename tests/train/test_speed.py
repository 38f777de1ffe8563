"""What makes steps faster changes nothing but rounding, can be left out, and says so where it cannot be had."""

import pytest
import torch
from quick_runs import QUICK, quiet, weights
from torch._dynamo.testing import CompileCounter

from pipeline.core.errors import PrepError
from train.models import speed
from train.models.load import load_base
from train.models.speed import compile_blocks, float32_products
from train.options.recipe import make_recipe
from train.session import train_adapter

CPU = torch.device("cpu")


def trained(manifest, name: str, **options):
    return weights(train_adapter(manifest, make_recipe(**QUICK | options | {"name": name}), quiet).file)


def near(one, other) -> bool:
    """Within what another order of sums makes of a few steps, whose rates move a weight by some 1e-3 each."""
    assert one.keys() == other.keys()
    return all(torch.allclose(one[key].float(), other[key].float(), rtol=0.02, atol=1e-4) for key in one)


@pytest.fixture
def traced(monkeypatch) -> CompileCounter:
    """Blocks are traced as they would be to be compiled, and run as they are."""
    counter = CompileCounter()
    monkeypatch.setattr(speed, "BACKEND", counter)
    torch._dynamo.reset()
    return counter


@pytest.mark.slow
def test_a_run_with_compiled_blocks_learns_the_same_and_traces_each_once(prepared, traced):
    plain = trained(prepared, "plain", gradient_checkpointing=False)
    compiled = trained(prepared, "compiled", gradient_checkpointing=False, compile=True)
    assert near(plain, compiled)
    blocks = sum(
        type(module).__name__ in speed.BLOCKS for module in load_base("miniature", device="cpu").unet.modules()
    )
    assert blocks <= traced.frame_count <= 2 * blocks + 1, "once for one size, once for any, and not at every step"


def test_repeated_blocks_are_what_is_compiled(monkeypatch):
    base, compiled = load_base("miniature", device="cpu"), []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **how: compiled.append((type(self).__name__, how)))
    monkeypatch.setattr(speed, "refuse_no_compiler", lambda _: None)
    assert compile_blocks(base.unet, CPU) == len(compiled) == 15
    assert {name for name, _ in compiled} == set(speed.BLOCKS)
    assert all(how == {"backend": "inductor", "dynamic": True} for _, how in compiled)


@pytest.mark.slow
def test_blocks_are_compiled_for_any_size(traced):
    base = load_base("miniature", device="cpu")
    count = compile_blocks(base.unet, CPU)
    states = torch.zeros(1, 77, base.unet.config.cross_attention_dim)
    for height, width in ((16, 16), (12, 20), (20, 12), (14, 18)):
        base.unet(torch.zeros(1, 4, height, width), torch.tensor([5]), states)
    seen = traced.frame_count
    base.unet(torch.zeros(1, 4, 18, 10), torch.tensor([5]), states)
    assert count == 15 and traced.frame_count == seen


def test_channels_last_and_tf32_learn_the_same(prepared):
    assert near(trained(prepared, "plain"), trained(prepared, "last", channels_last=True, tf32=True))
    assert torch.get_float32_matmul_precision() == "highest"
    with float32_products(True):
        assert torch.get_float32_matmul_precision() == "high"
    assert torch.get_float32_matmul_precision() == "highest"


def test_where_nothing_can_be_compiled_the_run_says_what_it_takes(monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("no compiler found\nmore")

    monkeypatch.setattr(torch, "compile", fails)
    with pytest.raises(PrepError, match=r"torch cannot compile for cpu here: no compiler found$") as caught:
        compile_blocks(load_base("miniature", device="cpu").unet, CPU)
    assert "triton" in caught.value.hint


@pytest.mark.parametrize("kept", [{"offload": "blocks"}, {"weights_precision": "fp8"}])
def test_weights_that_are_restored_at_every_step_are_not_compiled(kept):
    with pytest.raises(PrepError, match="compile is for layers whose weights stay as they are"):
        make_recipe(base="miniature", compile=True, **kept)
