"""`prep undo` says which run it undoes before it does, so that a kill leaves nobody in doubt."""

import json

import pytest

from pipeline.cli.commands import undo


def test_a_kill_after_the_undo_leaves_on_screen_which_run_it_was_and_the_record_agrees(flattened, command):
    (run,) = [each for each in flattened.runs() if each.stage == "flatten"]
    root = flattened.root
    with pytest.MonkeyPatch.context() as killed:
        killed.setattr(undo, "_show", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        stopped = command("undo", root)
    assert stopped.exit_code != 0 and f"undoing run {run.id} (flatten) …" in stopped.output
    assert {each.id for each in flattened.runs() if each.undone is not None} == {run.id}
    again = command("undo", root, run.id)
    assert again.exit_code != 0 and f"run {run.id} (flatten) was undone by run" in str(again.output) + str(
        again.exception
    )
    assert f"prep undo {root}" in str(again.output) + str(getattr(again.exception, "hint", ""))


def test_json_stays_one_document(flattened, command):
    assert json.loads(command("undo", flattened.root, "--json").stdout)["undone"][0]["stage"] == "flatten"
