"""A run that was stopped or refused on its way is undone with what it had made, and with nothing else."""

from dataclasses import dataclass

import pytest
from painted_sets import quiet

from pipeline.core.errors import PrepError
from pipeline.core.files import write_text
from pipeline.store.history.undo import newest, undo
from pipeline.store.records import Plan
from pipeline.store.running.runner import run_stage
from pipeline.store.running.stage import Stage, WorkResult


@dataclass(frozen=True)
class Nothing:
    pass


def writing(text: str = "", stopped: type[BaseException] | None = None) -> Stage[Nothing]:
    """A stage that may write one file, and is interrupted when it is asked to."""

    def work(manifest, options, progress):
        if text:
            write_text(manifest.root / "runs" / "a" / "x.txt", text)
        if stopped:
            raise stopped("stopped")
        return WorkResult()

    return Stage(
        name="sample",
        help="",
        options=Nothing,
        reads=(),
        plan=lambda *_: Plan("sample", (), ()),
        work=work,
        files=lambda _: ("runs/a/*",),
    )


def test_a_run_that_was_stopped_before_it_changed_anything_takes_no_file_with_it_when_it_is_undone(flattened):
    run_stage(flattened, writing("made"), Nothing(), quiet, force=True)
    made = flattened.root / "runs" / "a" / "x.txt"
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run_stage(flattened, writing(stopped=KeyboardInterrupt), Nothing(), quiet, force=True)
    for run in [run for run in flattened.runs() if not run.finished]:
        undo(flattened, run)
        assert made.read_text(encoding="utf-8") == "made"
    undo(flattened, newest(flattened))
    assert not made.exists()


def test_a_run_that_was_stopped_half_way_is_undone_with_what_it_had_made(flattened):
    run_stage(flattened, writing("first"), Nothing(), quiet, force=True)
    made = flattened.root / "runs" / "a" / "x.txt"
    with pytest.raises(PrepError):
        run_stage(flattened, writing("second", PrepError), Nothing(), quiet, force=True)
    assert made.read_text(encoding="utf-8") == "second"
    undo(flattened, newest(flattened))
    assert made.read_text(encoding="utf-8") == "first"


def test_a_run_that_was_refused_before_it_changed_anything_is_not_noted(flattened):
    before = flattened.runs()
    with pytest.raises(PrepError):
        run_stage(flattened, writing(stopped=PrepError), Nothing(), quiet, force=True)
    assert flattened.runs() == before
