import json

import pytest

from pipeline.core.errors import PrepError
from train.distributed.world import World
from train.evaluation.validation_history import FILE, Scores, Split, ValidationHistory, read_evaluations


def scores(held: float | None, train_subset: float | None = 0.5) -> Scores:
    sides = [None if mean is None else Split(mean, {"Lumi": mean}, {"0-250": mean}) for mean in (held, train_subset)]
    return Scores(sides[0], sides[1], {})


def history_of(folder, *held: float | None) -> ValidationHistory:
    """Looks every ten steps with these losses."""
    history = ValidationHistory(folder / FILE)
    for place, loss in enumerate(held):
        history.add(10 * place, place, scores(loss))
    return history


def test_best_and_waited_worked_by_hand(tmp_path):
    history = history_of(tmp_path, 0.5, 0.3, 0.4, 0.3)
    assert (history.best, history.waited) == (10, 2), "the first of equals is the best"
    history.add(40, 4, scores(0.2))
    assert (history.best, history.waited) == (40, 0)


def test_nothing_is_best_before_the_first_look(tmp_path):
    history = ValidationHistory(tmp_path / FILE)
    assert (history.best, history.waited, history.evaluations) == (None, 0, ())


def test_the_best_of_the_snapshots_is_asked_for_by_their_steps(tmp_path):
    history = history_of(tmp_path, 0.1, 0.3, 0.2, 0.4)
    assert history.best_of([10, 20, 30, 35]) == 20 and history.best_of([15]) is None


def test_without_held_out_images_the_train_subset_is_compared(tmp_path):
    history = ValidationHistory(tmp_path / FILE)
    for step, train_subset in enumerate((0.5, 0.4, 0.45)):
        history.add(step, 0, scores(None, train_subset))
    assert (history.best, history.waited) == (1, 1)


def test_a_line_says_all_of_a_look(tmp_path):
    history_of(tmp_path, 0.25)
    (line,) = (tmp_path / FILE).read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == {
        "step": 0,
        "epoch": 0,
        "held_out": 0.25,
        "train_subset": 0.5,
        "concepts": {"Lumi": {"held_out": 0.25, "train_subset": 0.5}},
        "bands": {"0-250": {"held_out": 0.25, "train_subset": 0.5}},
    }


def test_a_run_that_is_resumed_trims_what_came_after_its_state_and_goes_on(tmp_path):
    whole = history_of(tmp_path / "whole", 0.5, 0.1, 0.4, 0.3)
    history_of(tmp_path, 0.5, 0.1, 0.4, 0.35)
    again = ValidationHistory(tmp_path / FILE)
    again.trim(29)
    assert [evaluation.step for evaluation in again.evaluations] == [0, 10, 20]
    again.add(30, 3, scores(0.3))
    assert (again.best, again.waited) == (10, 2)
    assert (tmp_path / FILE).read_bytes() == (tmp_path / "whole" / FILE).read_bytes()
    assert again.evaluations == whole.evaluations


def test_a_run_that_starts_anew_looks_again_at_its_start(tmp_path):
    history_of(tmp_path, 0.5, 0.1)
    again = ValidationHistory(tmp_path / FILE)
    again.trim(0)
    again.add(0, 0, scores(0.6))
    assert [(evaluation.step, evaluation.held_out) for evaluation in again.evaluations] == [(0, 0.6)]
    assert tuple(read_evaluations(tmp_path / FILE)) == again.evaluations


def test_a_last_line_cut_off_by_a_kill_is_left_out_and_trimmed(tmp_path):
    history_of(tmp_path, 0.5, 0.1)
    file = tmp_path / FILE
    before = file.read_bytes()
    file.write_bytes(before + b'{"step": 20, "hel')
    again = ValidationHistory(file)
    again.trim(15)
    assert [evaluation.step for evaluation in again.evaluations] == [0, 10] and file.read_bytes() == before


@pytest.mark.parametrize("line", ["{}", "[1]", '{"step": 1}', "no json", '{"step": 1, "epoch": 0, "held_out": NaN}'])
def test_another_damaged_line_is_an_error_that_names_it(tmp_path, line):
    file = tmp_path / FILE
    file.write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(PrepError, match=f"line 1 of .*{FILE} is no validation"):
        list(read_evaluations(file))


def test_only_the_leader_writes_and_all_know_the_same(tmp_path):
    follower = ValidationHistory(tmp_path / FILE, World(1, 2))
    follower.add(0, 0, scores(0.5))
    assert follower.best == 0 and not (tmp_path / FILE).exists()


def test_concepts_of_odd_names_come_back_as_they_were(tmp_path):
    history = ValidationHistory(tmp_path / FILE)
    history.add(0, 0, Scores(Split(0.5, {"a\u2028b\x85/✨": 0.5}, {}), None, {}))
    assert ValidationHistory(tmp_path / FILE).evaluations == history.evaluations
