import pytest

from pipeline.core.errors import PrepError
from pipeline.core.files import file_digest
from train.run.snapshots import Snapshot, from_rows, refuse_foreign, snapshot_name, thinned, with_best


def snapshots(*losses: float | None) -> list[Snapshot]:
    return [Snapshot(f"x-{index}.safetensors", index, 0, "", loss) for index, loss in enumerate(losses, 1)]


def test_names_are_those_that_kohyas_trainer_gives():
    assert snapshot_name("lumi", 1200, 3, True) == "lumi-000003.safetensors"
    assert snapshot_name("lumi", 500, 3, False) == "lumi-step00000500.safetensors"


def test_the_best_is_the_lowest_the_first_of_equals():
    assert [each.step for each in with_best(snapshots(0.3, 0.2, 0.2, None)) if each.best] == [2]
    assert not [each for each in with_best(snapshots(None, None)) if each.best]
    assert [each.step for each in with_best(with_best(snapshots(0.3, 0.2))[:1]) if each.best] == [1]


def test_the_last_ones_and_the_best_are_kept():
    kept, gone = thinned(with_best(snapshots(0.3, 0.1, 0.2, 0.4, 0.5)), 2)
    assert [each.step for each in kept] == [2, 4, 5]
    assert [each.step for each in gone] == [1, 3]
    assert thinned(snapshots(0.1, 0.2), 0) == (snapshots(0.1, 0.2), [])
    assert [each.step for each in thinned(snapshots(None, None, None), 1)[0]] == [3]


def test_rows_of_the_record_come_back():
    made = with_best(snapshots(0.3, None))
    assert from_rows([each.row() for each in made]) == made


def test_files_that_no_run_wrote_are_not_written_over(tmp_path):
    for name in ("lumi.safetensors", "lumi-000001.safetensors", "other.safetensors", "state.safetensors"):
        (tmp_path / name).write_text(name)
    known = {name: file_digest(tmp_path / name) for name in ("lumi.safetensors", "lumi-000001.safetensors")}
    refuse_foreign(tmp_path, "lumi", known)
    (tmp_path / "lumi-000001.safetensors").write_text("merged by hand")
    with pytest.raises(PrepError, match=r"changed since: .*lumi-000001\.safetensors$") as caught:
        refuse_foreign(tmp_path, "lumi", known)
    assert "--name lumi-2" in caught.value.hint
    with pytest.raises(PrepError, match=r"lumi-000001\.safetensors, .*lumi\.safetensors$"):
        refuse_foreign(tmp_path, "lumi", {})
