"""Losses and weights that are not finite, and disks that are full, lose nothing that was good."""

import pytest
import torch
from quick_runs import QUICK, log_of, quiet, weights

from pipeline.core.errors import PrepError
from train.loop import Trainer
from train.options.recipe import make_recipe
from train.session import train_adapter


def test_a_non_finite_loss_stops_the_run_and_names_the_images(prepared):
    with pytest.raises(PrepError, match=r"the loss is (nan|inf) at step .*images/Lumi/"):
        train_adapter(prepared, make_recipe(**QUICK | {"unet_lr": 1e30, "max_grad_norm": 0.0}), quiet)


def test_a_loss_that_is_not_finite_is_named_with_its_own_images_and_the_last_good_state_is_kept(prepared, monkeypatch):
    seen, honest = {}, Trainer._losses

    def broken(self, batch, shown):
        seen[batch.step + 1] = {example.entry.key for example in batch.examples}
        return honest(self, batch, shown) * (float("nan") if batch.step + 1 == 4 else 1.0)

    monkeypatch.setattr(Trainer, "_losses", broken)
    with pytest.raises(PrepError, match="the loss is nan at step 4; the batch held") as caught:
        train_adapter(prepared, make_recipe(**QUICK), quiet)
    assert set(caught.value.message.partition("held ")[2].split(", ")) == seen[4]
    folder = prepared.root / "runs/adapter"
    assert f"the last good state is kept in {folder / 'state.safetensors'}" in caught.value.hint
    monkeypatch.undo()
    assert [line["step"] for line in log_of(prepared)] == [1, 2, 3]
    assert train_adapter(prepared, make_recipe(**QUICK), quiet).resumed_from == 2


def test_weights_that_are_not_finite_are_never_saved_as_a_state(prepared, monkeypatch):
    def poison(self, update, updates):
        with torch.no_grad():
            self.trained[0][:] = float("nan")

    monkeypatch.setattr(Trainer, "_update", poison)
    with pytest.raises(PrepError, match="not finite any more; the last batches held images/Lumi/"):
        train_adapter(prepared, make_recipe(**QUICK | {"steps": 1}), quiet)
    assert not (prepared.root / "runs/adapter/state.safetensors").exists()


def test_a_disk_that_is_full_at_the_end_loses_the_state_and_not_the_adapter(prepared, monkeypatch):
    def full(file, state, digest):
        raise PrepError("the state cannot be written", "make room")

    monkeypatch.setattr("train.loop.save_state", full)
    with pytest.raises(PrepError, match="the state cannot be written"):
        train_adapter(prepared, make_recipe(**QUICK | {"steps": 1, "save_state_every": 100}), quiet)
    assert weights(prepared.root / "runs/adapter/adapter.safetensors")


def test_a_run_that_does_not_fit_on_the_disk_is_refused_before_anything_is_written(prepared, monkeypatch):
    monkeypatch.setattr("pipeline.core.disk_space.free_bytes", lambda path: 1000)
    with pytest.raises(PrepError, match=r"the run needs .* on the disk of .*, which has 1 kB free"):
        train_adapter(prepared, make_recipe(**QUICK), quiet)
    assert not (prepared.root / "runs").exists()


def test_a_part_of_rate_0_stays_as_the_file_has_it_that_training_goes_on_from(prepared):
    options = QUICK | {"train_text_encoder": True, "text_encoder_lr": 1e-3, "steps": 1}
    first = weights(train_adapter(prepared, make_recipe(**options | {"name": "first"}), quiet).file)
    file = prepared.root / "runs/first/first.safetensors"
    on = options | {"name": "on", "network_weights": file, "text_encoder_lr": 0.0}
    second = weights(train_adapter(prepared, make_recipe(**on), quiet).file)
    assert first.keys() == second.keys()
    same = {key for key in first if bool((first[key] == second[key]).all()) and not key.endswith("alpha")}
    text = {key for key in first if key.startswith("lora_te") and not key.endswith("alpha")}
    assert text and same == text
    with pytest.raises(PrepError, match="text_encoder True where False was asked for") as caught:
        train_adapter(prepared, make_recipe(**QUICK | {"network_weights": file, "name": "off", "steps": 1}), quiet)
    assert "text_encoder_lr = 0 to keep that part" in caught.value.hint
