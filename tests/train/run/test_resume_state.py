from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError
from tolerance import near

from pipeline.core.errors import PrepError
from train.optimization.optimizers import KINDS, eval_mode_now, make_optimizer, read_arguments, restore
from train.run.resume_state import State, finite, load_state, save_state

LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner), st.lists(inner).map(tuple), st.dictionaries(st.one_of(st.integers(), st.text()), inner)
    ),
)


@given(TREES)
def test_a_tree_comes_back_with_its_types_its_keys_and_its_numbers(tmp_path_factory, tree):
    file = tmp_path_factory.mktemp("state") / "state.safetensors"
    save_state(file, State(7, {"tree": tree}), "digest")
    state = load_state(file, "digest")
    assert state is not None and state.step == 7
    assert repr(state.parts["tree"]) == repr(tree)


def test_tensors_keep_their_type_and_one_in_two_places_is_stored_once(tmp_path):
    file, shared = tmp_path / "state.safetensors", torch.arange(256, dtype=torch.uint8)
    tensors = [shared, shared, torch.tensor(3.5), torch.randn(2, 3).to(torch.bfloat16), torch.randn(3, 2).T]
    save_state(file, State(1, {"tensors": tensors}), "digest")
    state = load_state(file, "digest")
    assert state is not None
    assert all(
        one.dtype == two.dtype and torch.equal(one, two)
        for one, two in zip(tensors, state.parts["tensors"], strict=True)
    )
    assert state.parts["tensors"][0] is state.parts["tensors"][1]


def test_a_state_of_another_run_is_not_resumed_and_a_damaged_one_is_an_error(tmp_path):
    file = tmp_path / "state.safetensors"
    assert load_state(file, "digest") is None
    save_state(file, State(1, {}), "digest")
    assert load_state(file, "another") is None
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(PrepError, match="cannot be read from") as caught:
        load_state(file, "digest")
    assert f"delete {file}" in caught.value.hint


def test_weights_are_finite_or_not():
    assert finite([torch.ones(2), torch.zeros(1)])
    assert not finite([torch.ones(2), torch.tensor([float("nan")])])


class Run:
    """A run of eight updates on two groups of weights, with gradients that depend on the step and on the weights."""

    def __init__(self, name: str) -> None:
        draw = torch.Generator().manual_seed(1)
        self.weights = [torch.nn.Parameter(torch.randn(shape, generator=draw)) for shape in ((6, 4), (80, 64), (4,))]
        groups = [{"params": self.weights[:2], "lr": 1.0}, {"params": self.weights[2:], "lr": 1.0}]
        self.optimizer = make_optimizer(name, groups, read_arguments(name, {}))
        self.base = 1.0 if KINDS[name].adaptive else 1e-2

    def go(self, start: int, stop: int) -> None:
        for step in range(start, stop):
            draw = torch.Generator().manual_seed(step)
            for group in self.optimizer.param_groups:
                group["lr"] = self.base * (1 - step / 10)
            for weight in self.weights:
                weight.grad = weight.detach() * 0.1 + torch.randn(weight.shape, generator=draw)
            self.optimizer.step()

    def save(self, file: Path, step: int) -> None:
        save_state(file, State(step, {"weights": self.weights, "optimizer": self.optimizer.state_dict()}), "digest")

    def load(self, file: Path) -> int:
        state = load_state(file, "digest")
        assert state is not None
        with torch.no_grad():
            for weight, stored in zip(self.weights, state.parts["weights"], strict=True):
                weight.copy_(stored)
        restore(self.optimizer, state.parts["optimizer"])
        return state.step


@pytest.mark.parametrize("name", KINDS)
def test_a_run_killed_twice_at_any_step_ends_with_the_same_bits_whatever_the_optimizer(tmp_path, name):
    pytest.importorskip(KINDS[name].module)
    undisturbed, file = Run(name), tmp_path / "state.safetensors"
    before = [weight.detach().clone() for weight in undisturbed.weights]
    undisturbed.go(0, 8)
    eval_mode_now(undisturbed.optimizer)
    assert not any(torch.equal(one, two) for one, two in zip(before, undisturbed.weights, strict=True))
    for kills in ((1, 2), (3, 5), (4, 7)):
        run, start = Run(name), 0
        for kill in kills:
            run.go(start, kill)
            run.save(file, kill)
            run.go(kill, kill + 1)  # work that the kill loses
            run = Run(name)
            start = run.load(file)
        run.go(start, 8)
        eval_mode_now(run.optimizer)
        assert all(torch.equal(one, two) for one, two in zip(undisturbed.weights, run.weights, strict=True)), kills


def test_an_averaging_optimizer_settles_on_its_average():
    pytest.importorskip("pytorch_optimizer")
    run = Run("ScheduleFreeAdamW")
    run.go(0, 4)
    trained = run.weights[0].detach().clone()
    base = run.optimizer.state[run.weights[0]]["z"]
    eval_mode_now(run.optimizer)
    average = run.weights[0].detach()
    assert not torch.equal(average, trained)
    assert near(0.9 * average + 0.1 * base, trained, products=4)  # y = beta x + (1 - beta) z


def test_a_state_that_cannot_be_written_is_told_with_words_and_the_one_before_is_kept(tmp_path, monkeypatch):
    file = tmp_path / "state.safetensors"
    save_state(file, State(1, {"weights": torch.ones(3)}), "digest")

    def full(tensors, place, metadata):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("train.run.resume_state.save_file", full)
    with pytest.raises(PrepError, match=r"cannot be written to .*No space left on device") as caught:
        save_state(file, State(2, {"weights": torch.ones(3)}), "digest")
    assert "make room" in caught.value.hint
    kept = load_state(file, "digest")
    assert kept is not None and kept.step == 1 and [path.name for path in tmp_path.iterdir()] == [file.name]
