"""In a training step the host never waits for the device: nothing on it is turned into a number, nothing is copied back."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest
import torch

from tests.benchmarks.memory import BF16, Case, waits
from train.models.storage import Keeping

KEPT = Keeping(BF16, BF16)


def of_step(**options) -> list[str]:
    """In a process of its own, as the device that counts is there for good."""
    case = Case(family="sd1", size=(256, 256), batch_size=2, regularized=True, keeping=KEPT, options=options)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
        return alone.submit(waits, case).result()


@pytest.mark.long
def test_the_host_never_waits_in_a_step():
    extras = {"noise_offset": 0.05, "weighting": "min-snr", "train_text_encoder": True, "scale_weight_norms": 1.0}
    assert of_step(rank=4, **extras) == []


def test_waiting_would_be_seen():
    from tests.benchmarks.fake_device import _waits

    number = torch.ops.aten._local_scalar_dense.default
    assert not _waits(number, (torch.ones(1),), {}), "of the host's own numbers"
