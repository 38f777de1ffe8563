"""Two processes on the CPU against one: the same batches, and up to rounding the same weights."""

import errno
import json
import os
import signal
import sys
import threading
import time

import pytest
import torch
from failing_jobs import breaks, dies, fails, fills_the_disk

from pipeline.core.errors import PrepError
from train.distributed.launch import in_processes, process_device, shared_device
from train.distributed.world import ALONE, World
from train.options.recipe import make_recipe
from train.session import train_adapter

pytestmark = pytest.mark.long
OPTIONS = {
    "base": "miniature",
    "rank": 2,
    "alpha": 2.0,
    "batch_size": 2,
    "steps": 4,
    "gradient_accumulation_steps": 2,
    "unet_lr": 1e-3,
    "save_precision": "fp32",
    "save_state_every": 2,
    "device": "cpu",
    "validation_images": 3,
    "validation_times": 2,
}


AUTO = {} if torch.cuda.is_available() else {"device": "auto"}
"""Where no GPU is, the device that is the default comes to the CPU too."""


APART = 1e-3
"""The most of the weights' length by which two processes may learn otherwise than one. They add up the gradients in another
order, and AdamW makes a step of full length of a gradient that is but rounding: of ten thousands of weights, a few dozen. A
loss, in which those weights have no part worth the name, differs by a tenth of it at the most."""


def quiet(what: str, done: int, total: int) -> None:
    pass


def weights(file):
    from safetensors.torch import load_file

    return load_file(file)


def distance(one, other) -> float:
    """The length of all differences beside that of the weights; single weights may differ by more."""
    first = torch.cat([one[key].flatten() for key in sorted(one) if "alpha" not in key])
    second = torch.cat([other[key].flatten() for key in sorted(other) if "alpha" not in key])
    return float((first - second).norm() / first.norm())


def lines(manifest, name: str, file: str = "log.jsonl"):
    return [
        json.loads(line) for line in (manifest.root / "runs" / name / file).read_text(encoding="utf-8").splitlines()
    ]


def test_two_processes_learn_the_same_from_the_same_batches_as_one(prepared):
    reported = []
    one = train_adapter(prepared, make_recipe(**OPTIONS, name="one"), quiet)
    two = train_adapter(
        prepared,
        make_recipe(**OPTIONS | AUTO, name="two", processes=2),
        lambda what, done, total: reported.append((done, total)),
    )
    assert reported[-1] == (4, 4)
    alone, together = weights(one.file), weights(two.file)
    assert alone.keys() == together.keys()
    moved = [key for key in alone if "lora_up" in key and bool(alone[key].any())]
    assert moved
    assert distance(alone, together) < APART
    for first, second in zip(lines(prepared, "one"), lines(prepared, "two"), strict=True):
        assert sorted(row[:2] for row in first["images"]) == sorted(row[:2] for row in second["images"])
        assert first["loss"] == pytest.approx(second["loss"], rel=APART / 10)
    for first, second in zip(
        lines(prepared, "one", "validation.jsonl"), lines(prepared, "two", "validation.jsonl"), strict=True
    ):
        assert first["train_subset"] == pytest.approx(second["train_subset"], rel=APART / 10)


def test_what_one_process_began_two_take_up(prepared):
    undisturbed = train_adapter(prepared, make_recipe(**OPTIONS, name="undisturbed"), quiet)

    class Killed(BaseException):
        pass

    def die(what: str, done: int, total: int) -> None:
        if what.startswith("training") and done == 3:
            raise Killed

    with pytest.raises(Killed):
        train_adapter(prepared, make_recipe(**OPTIONS, name="shared"), die)
    resumed = train_adapter(prepared, make_recipe(**OPTIONS, name="shared", processes=2), quiet)
    assert resumed.resumed_from == 2
    first, second = weights(undisturbed.file), weights(resumed.file)
    assert distance(first, second) < APART


def test_a_problem_of_one_process_is_reported_and_ends_all(tmp_path):
    with pytest.raises(PrepError, match="the job is no good") as caught:
        in_processes(fails, "the job", 2, "cpu", quiet)
    assert caught.value.hint == "mend it"


def test_a_process_that_ends_by_itself_is_reported(tmp_path):
    with pytest.raises(PrepError, match="process 2 of 2 that train together ended with code 7"):
        in_processes(dies, "", 2, "cpu", quiet)


def test_a_fault_in_one_process_is_named_and_its_traceback_is_shown(capfd):
    with pytest.raises(
        PrepError, match="process 2 of 2 that train together failed: ZeroDivisionError: a fault of ours"
    ):
        in_processes(breaks, "", 2, "cpu", quiet)
    assert "in breaks" in capfd.readouterr().err


def test_a_full_disk_in_one_process_is_reported_as_one(tmp_path):
    with pytest.raises(OSError, match="No space left") as caught:
        in_processes(fills_the_disk, "a file", 2, "cpu", quiet)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, "a file")


def test_two_processes_train_in_fp16_although_one_has_no_sample(prepared):
    recipe = make_recipe(
        **OPTIONS | {"batch_size": 1, "steps": 2, "mixed_precision": "fp16", "gradient_accumulation_steps": 1},
        name="half",
        processes=2,
    )
    assert train_adapter(prepared, recipe, quiet).steps == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no signal to one process")
def test_a_wish_to_stop_reaches_all_and_the_state_is_kept(prepared):
    recipe = make_recipe(**OPTIONS | {"steps": 200, "save_state_every": 1000}, name="long", processes=2)
    begun = threading.Event()
    pids = []

    def callbacks(what: str, done: int, total: int) -> None:
        if what.startswith("training") and done >= 3 and not begun.is_set():
            begun.set()
            for process in torch.multiprocessing.active_children():
                pids.append(process.pid)
                os.kill(process.pid, signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train_adapter(prepared, recipe, callbacks)
    assert len(pids) == 2
    from safetensors import safe_open

    with safe_open(prepared.root / "runs/long/state.safetensors", framework="pt") as stored:
        assert 3 <= int(stored.metadata()["step"]) <= 60
    for pid in pids:
        for _ in range(100):
            if not _lives(pid):
                break
            time.sleep(0.1)
        assert not _lives(pid)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_one_gpu_of_several_cannot_be_named_for_several_processes():
    with pytest.raises(PrepError, match="cuda:1 is one GPU"):
        shared_device("cuda:1", 2)
    assert shared_device("cpu", 2) == "cpu"
    assert [process_device("cuda", World(rank, 2)) for rank in (0, 1)] == ["cuda:0", "cuda:1"]
    assert process_device("cuda", ALONE) == "cuda" and process_device("cpu", World(1, 2)) == "cpu"


def test_more_processes_than_gpus_are_refused():
    with pytest.raises(PrepError, match="64 processes need as many GPUs"):
        in_processes(fails, "", 64, "cuda", quiet)


def test_a_world_of_one_needs_no_accelerate():
    assert ALONE.shard([1, 2, 3]) == [1, 2, 3]
    assert World(1, 2).shard([1, 2, 3]) == [2]
    assert ALONE.all_reduce_sum(torch.ones(2)).tolist() == [1, 1]
