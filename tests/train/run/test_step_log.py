"""What a run writes down about its steps, and when it refuses to go on."""

import json
import math
import threading
from pathlib import Path

import pytest
import torch

from pipeline.core.errors import PrepError
from pipeline.store.training_log import read_figures
from train.distributed.world import World
from train.run.step_log import TOGETHER, LogEntry, RunLog


def entry(step: int, **given) -> LogEntry:
    """A step with two images of two concepts and a regularization image of the first."""
    values = {
        "step": step,
        "epoch": 0,
        "loss": torch.tensor(0.25),
        "losses": torch.tensor([0.1, 0.3, 0.7]),
        "times": torch.tensor([249, 250, 999]),
        "keys": ["a.png", "b.png", "a.png"],
        "concepts": ["Lumi", "Quill", "Lumi"],
        "reg_images": 1,
        "lrs": [5e-4],
        "gradient_norm": None,
        "seconds": 0.5,
    }
    return LogEntry(**values | given)


def written(file: Path) -> list[dict]:
    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return [json.loads(line, parse_constant=refuse) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch):
    """While a log waits for the device; the seconds of a step are given."""
    monkeypatch.setattr("train.run.step_log.perf_counter", lambda: 0.0)


@pytest.fixture
def log(tmp_path) -> RunLog:
    log = RunLog(tmp_path / "log.jsonl", tmp_path / "state.safetensors")
    log.trim(0)
    return log


def test_a_line_tells_of_every_image_and_of_the_concepts_and_bands_without_the_reg_images(log, tmp_path):
    log.add(entry(1, lrs=[5e-4, 1e-4], gradient_norm=torch.tensor(2.0)))
    log.weights(1, torch.tensor(12.5))
    log.write()
    (line,) = written(tmp_path / "log.jsonl")
    assert line.pop("memory_bytes", 1) > 0
    assert line == {
        "step": 1,
        "epoch": 0,
        "loss": 0.25,
        "unet_lr": 5e-4,
        "text_encoder_lr": 1e-4,
        "gradient_norm": 2.0,
        "concepts": {"Lumi": 0.1, "Quill": 0.3},
        "bands": {"0-250": 0.1, "250-500": 0.3},
        "images": [["a.png", 249, 0.1], ["b.png", 250, 0.3]],
        "reg_images": [["a.png", 999, 0.7]],
        "images_per_second": 6.0,
        "weights_norm": 12.5,
    }


def test_means_are_of_the_images_of_a_concept_and_of_a_quarter_of_the_timesteps(log, tmp_path):
    times, losses = torch.tensor([0, 500, 749, 999]), torch.tensor([0.1, 0.2, 0.4, 0.8])
    log.add(entry(1, losses=losses, times=times, keys=list("abcd"), concepts=["x", "x", "x", "y"], reg_images=0))
    log.write()
    (line,) = written(tmp_path / "log.jsonl")
    assert line["concepts"] == {"x": pytest.approx(0.7 / 3, rel=1e-5), "y": 0.8}
    assert line["bands"] == {"0-250": 0.1, "500-750": 0.3, "750-1000": 0.8}
    assert "reg_images" not in line and "weights_norm" not in line and "gradient_norm" not in line


def test_numbers_have_six_digits_and_what_json_cannot_hold_is_null(log, tmp_path):
    norm = torch.tensor(math.inf)
    log.add(entry(1, loss=torch.tensor(1 / 3), lrs=[1 / 7, 2.0, 3.0], gradient_norm=norm))
    log.write()
    (line,) = written(tmp_path / "log.jsonl")
    assert line["loss"] == 0.333333
    assert line["learning_rates"] == [0.142857, 2.0, 3.0]
    assert line["gradient_norm"] is None


def test_steps_are_fetched_together_and_the_words_for_the_progress_line_ask_nothing_of_the_device(log, monkeypatch):
    fetches, honest = [], torch.Tensor.tolist

    def counted(self):
        fetches.append(self.device)
        return honest(self)

    monkeypatch.setattr(torch.Tensor, "tolist", counted)
    monkeypatch.setattr(torch.Tensor, "__float__", lambda self: pytest.fail("a step waits"))
    for step in range(1, TOGETHER + 1):
        log.add(entry(step))
        assert log.smoothed() == ""
    assert not fetches
    log.add(entry(TOGETHER + 1))
    assert len(fetches) == 1 + TOGETHER, "one of the device, and the timesteps of each, which are on the CPU"
    assert log.smoothed() == "loss 0.2500, lr 5e-04"
    assert len(fetches) == 1 + TOGETHER


def test_the_progress_line_shows_the_mean_of_the_last_50_steps_and_the_last_rate(log):
    for step in range(1, 61):
        log.add(entry(step, loss=torch.tensor(float(step)), lrs=[1e-3 if step < 60 else 3.5e-4]))
    log.write()
    assert log.smoothed() == f"loss {sum(range(11, 61)) / 50:.4f}, lr 3.5e-04"


@pytest.mark.parametrize(
    "wrong",
    [{"loss": torch.tensor(math.nan)}, {"losses": torch.tensor([0.1, math.inf, 0.7])}],
    ids=["the objective", "one image"],
)
def test_a_loss_that_is_not_finite_names_step_and_images_and_the_steps_before_are_written(log, tmp_path, wrong):
    (tmp_path / "state.safetensors").touch()
    log.add(entry(1))
    log.add(entry(2, **wrong))
    log.add(entry(3))
    with pytest.raises(PrepError, match=r"the loss is (nan|inf) at step 2; the batch held a.png, b.png") as caught:
        log.write()
    assert caught.value.message.endswith("it is not finite for b.png alone") == ("losses" in wrong)
    assert "the last good state is kept in" in caught.value.hint
    assert [line["step"] for line in written(tmp_path / "log.jsonl")] == [1]


def test_weights_that_are_not_finite_are_refused_with_the_last_images(log, tmp_path):
    for step in range(1, 3 * TOGETHER):
        log.add(entry(step, keys=[f"{step}.png", "b.png", "b.png"]))
    with pytest.raises(PrepError, match="not finite any more; the last batches held") as caught:
        log.refuse_weights()
    names = caught.value.message.partition("held ")[2].split(", ")
    assert set(names) == {"b.png", *(f"{step}.png" for step in range(2 * TOGETHER, 3 * TOGETHER))}
    assert len(written(tmp_path / "log.jsonl")) == 3 * TOGETHER - 1


def test_a_run_resumed_keeps_the_lines_up_to_its_state_and_goes_on_counting(log, tmp_path):
    file = tmp_path / "log.jsonl"
    for step in range(1, 8):
        log.add(entry(step, loss=torch.tensor(float(step))))
    log.write()
    before = file.read_text(encoding="utf-8").splitlines()
    with file.open("a", encoding="utf-8") as stream:
        stream.write('{"step": 8, "epo')
    again = RunLog(file, tmp_path / "state.safetensors")
    again.trim(5)
    assert file.read_text(encoding="utf-8").splitlines() == before[:5]
    assert again.smoothed() == "loss 3.0000, lr 5e-04"
    again.add(entry(6))
    again.write()
    assert [line["step"] for line in written(file)] == [1, 2, 3, 4, 5, 6]
    again.trim(0)
    assert file.read_text(encoding="utf-8") == ""


def test_every_exposure_is_counted_once_after_a_run_was_killed_and_resumed_twice(tmp_path):
    file, state = tmp_path / "log.jsonl", tmp_path / "state.safetensors"
    for start, killed in ((0, 27), (20, 45), (40, 50)):
        log = RunLog(file, state)
        log.trim(start)
        for step in range(start + 1, killed + 1):
            log.add(entry(step))
        if killed == 50:
            log.write()
    figures = read_figures(file)
    assert figures.images["a.png"].exposures == figures.images["b.png"].exposures == 50
    assert figures.images["a.png"].reg_images == 50
    assert (figures.steps, figures.last, figures.missing) == (50, 50, ())


def test_every_line_is_handed_on_as_it_is_written(tmp_path):
    seen = []
    log = RunLog(tmp_path / "log.jsonl", tmp_path / "state.safetensors", each=seen.append)
    log.trim(0)
    log.add(entry(1))
    log.add(entry(2))
    log.write()
    assert seen == written(tmp_path / "log.jsonl")


class Threads(World):
    """Two processes as threads of one, which meet where objects are gathered."""

    __slots__ = ()
    met = threading.Barrier(2)
    parts: dict[int, list] = {}  # noqa: RUF012

    def gather(self, items):
        self.parts[self.rank] = list(items)
        self.met.wait(20)
        everything = self.parts[0] + self.parts[1]
        self.met.wait(20)
        return everything

    def wait(self):
        self.met.wait(20)


def in_threads(work) -> list:
    """What `work(team)` gives or raises in either."""
    found: list = [None, None]

    def run(rank: int) -> None:
        try:
            found[rank] = work(Threads(rank, 2))
        except PrepError as error:
            found[rank] = error

    threads = [threading.Thread(target=run, args=(rank,)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return found


def part(step: int, rank: int, loss: float) -> LogEntry:
    """What one of two processes has of a step: an image and its regularization image; the second has no image at step 3."""
    count = 0 if rank and step == 3 else 2
    losses, times = torch.tensor([0.2 + rank, 0.9])[:count], torch.tensor([100, 100])[:count]
    named = [f"{rank}.png", f"{rank}.png"][:count]
    return entry(
        step, loss=torch.tensor(loss), losses=losses, times=times, keys=named, concepts=named, reg_images=count // 2
    )


def test_several_processes_write_one_line_a_step_with_all_images_and_the_summed_loss(tmp_path):
    def work(world):
        log = RunLog(tmp_path / "log.jsonl", tmp_path / "state.safetensors", world)
        log.trim(0)
        for step in (1, 2, 3):
            log.add(part(step, world.rank, 0.25 + world.rank))
        log.write()
        return log.smoothed()

    assert in_threads(work) == ["loss 1.5000, lr 5e-04"] * 2
    lines = written(tmp_path / "log.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert lines[0]["loss"] == 1.5
    assert lines[0]["images"] == [["0.png", 100, 0.2], ["1.png", 100, 1.2]]
    assert lines[0]["reg_images"] == [["0.png", 100, 0.9], ["1.png", 100, 0.9]]
    assert lines[2]["images"] == [["0.png", 100, 0.2]]
    assert lines[0]["images_per_second"] == pytest.approx(10 / 1.5)


def test_a_loss_that_is_not_finite_in_one_process_stops_all_of_them(tmp_path):
    def work(world):
        log = RunLog(tmp_path / "log.jsonl", tmp_path / "state.safetensors", world)
        log.trim(0)
        for step in (1, 2):
            log.add(part(step, world.rank, math.nan if world.rank and step == 2 else 0.1))
        log.write()

    found = in_threads(work)
    assert all(isinstance(error, PrepError) for error in found)
    assert found[0].message == found[1].message == "the loss is nan at step 2; the batch held 0.png, 1.png"
    assert [line["step"] for line in written(tmp_path / "log.jsonl")] == [1]
