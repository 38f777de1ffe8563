"""What a run did is taken back exactly, files included, and brought back exactly."""

import contextlib
import json
import os
import sqlite3

import pytest
from decided import decided
from painted_sets import painted, quiet, run_flatten, save

from pipeline.core.errors import PrepError
from pipeline.stages import balance, bucket, check, curate
from pipeline.store.history.undo import find, newest, since, undo
from pipeline.store.manifest import Manifest
from pipeline.store.records import Plan
from pipeline.store.running.runner import run_stage
from pipeline.store.running.stage import Stage, WorkResult

TABLES = ("images", "decisions", "captions")


def state(manifest):
    """Everything that an undo has to restore: rows without their run's number, and every file with its bytes."""
    columns = {"images": "*", "decisions": "path, field, value, reason, evidence", "captions": "path, text"}
    rows = {table: sorted(manifest._db.execute(f"SELECT {columns[table]} FROM {table}")) for table in TABLES}
    files = {
        file.relative_to(manifest.root).as_posix(): file.read_bytes()
        for folder in ("images", "regularization", "runs")
        for file in sorted((manifest.root / folder).rglob("*"))
        if file.is_file()
    }
    return rows, files


def repaint(seed, file):
    """Replace a source image as editors do that save to a new file; one that writes in place changes hard links too."""
    file.unlink(missing_ok=True)
    save(painted(seed, 1.5), file)


def last(manifest):
    return manifest.runs()[-1]


@pytest.fixture
def tagged(flattened):
    """A set with scores for every image, as if a tagger had run."""
    from pipeline.store.records import Tagger

    tagger = Tagger("t", "1", "p", "CPU", {"1girl": "general", "smile": "general", "boots": "general"})
    with flattened.transaction():
        flattened.put_tagger(tagger)
        flattened.put_scores(
            tagger.id,
            {image.content: {"1girl": 0.99, "smile": 0.6, "boots": 0.4} for image in flattened.images()},
        )
    return flattened


def stages(manifest, source):
    """Every kind of run in turn, each with something to change; yields before and after each."""
    yield "check", lambda: run_stage(manifest, check.STAGE, check.Options(), quiet)
    yield "bucket", lambda: run_stage(manifest, bucket.STAGE, bucket.Options(resolution=64, bucket_reso_steps=8), quiet)
    yield "balance", lambda: run_stage(manifest, balance.STAGE, balance.Options(), quiet)
    yield "curate", lambda: run_stage(manifest, curate.STAGE, curate.Options(), quiet)
    yield "curate again", lambda: run_stage(manifest, curate.STAGE, curate.Options(general=0.5), quiet)
    yield "check again", lambda: run_stage(manifest, check.STAGE, check.Options(drop=("images/artists*",)), quiet)
    yield "curate fewer", lambda: run_stage(manifest, curate.STAGE, curate.Options(general=0.5), quiet)

    def more():
        save(painted(40, 1.5), source / "characters/Lumi/new.png")
        repaint(41, source / "artists/alder/x.png")
        (source / "characters/Quill/a.png").unlink()
        return run_flatten(manifest, source)

    yield "flatten again", more


def test_every_run_can_be_undone_and_brought_back_exactly(tagged, source):
    for name, run in stages(tagged, source):
        before = state(tagged)
        run()
        after = state(tagged)
        assert before != after, name
        number = last(tagged).id
        undone = undo(tagged, find(tagged, number))
        assert state(tagged) == before, name
        assert tagged.runs()[number - 1].undone == undone.by
        undo(tagged, find(tagged, undone.by))
        assert state(tagged) == after, name
        undo(tagged, find(tagged, number))
        assert state(tagged) == before, name
        undo(tagged, find(tagged, last(tagged).id))
        assert state(tagged) == after, name


def test_everything_since_a_run_is_undone_in_turn_down_to_an_empty_set(tagged, source):
    for _, run in stages(tagged, source):
        run()
    first = tagged.runs()[0]
    for run in since(tagged, first):
        undo(tagged, run)
    rows, files = state(tagged)
    assert rows == {"images": [], "decisions": [], "captions": []} and files == {}
    assert not (tagged.root / "images").exists()
    assert (source / "characters/Lumi/a.png").exists()
    with pytest.raises(PrepError, match="nothing to undo"):
        newest(tagged)
    outcome = run_flatten(tagged, source)
    assert not outcome.fresh and len(tagged.images()) == 5


def test_after_an_undo_the_stage_is_as_it_was_before_the_run(tagged):
    run_stage(tagged, check.STAGE, check.Options(), quiet)
    run_stage(tagged, check.STAGE, check.Options(min_side=10**6), quiet)
    assert not tagged.kept()
    undo(tagged, newest(tagged))
    assert len(tagged.kept()) == 5 and run_stage(tagged, check.STAGE, check.Options(), quiet).fresh
    assert not run_stage(tagged, check.STAGE, check.Options(min_side=10**6), quiet).fresh


def test_a_run_that_a_later_one_built_on_is_not_undone_before_it(tagged):
    run_stage(tagged, check.STAGE, check.Options(), quiet)
    run_stage(tagged, check.STAGE, check.Options(min_side=10**6), quiet)
    with pytest.raises(PrepError, match=r"run 3 \(check\) changed 5 of the same rows since") as caught:
        undo(tagged, find(tagged, 2))
    assert "prep undo" in caught.value.hint and "--since" in caught.value.hint
    undo(tagged, find(tagged, 3))
    undo(tagged, find(tagged, 2))
    assert not tagged.decisions("keep")


def test_images_whose_captions_were_written_since_are_not_taken_away_before_those(tagged, source):
    run_stage(tagged, curate.STAGE, curate.Options(), quiet)
    with pytest.raises(PrepError, match=r"run 2 \(curate\)"):
        undo(tagged, find(tagged, 1))


def test_a_caption_that_a_person_edited_since_stays(tagged):
    run_stage(tagged, curate.STAGE, curate.Options(), quiet)
    mine = tagged.root / "images/characters~Lumi/b.txt"
    mine.write_text("by hand", encoding="utf-8")
    run_stage(tagged, check.STAGE, check.Options(), quiet)
    undone = undo(tagged, find(tagged, 2))
    assert undone.left == ("images/characters~Lumi/b.png",)
    assert mine.read_text(encoding="utf-8") == "by hand"
    assert tagged.manual_captions()["images/characters~Lumi/b.png"] == "by hand"
    assert not (tagged.root / "images/artists~alder/x.txt").exists()


def test_a_persons_edit_can_be_undone_and_brought_back_byte_by_byte(tagged):
    run_stage(tagged, curate.STAGE, curate.Options(), quiet)
    file = tagged.root / "images/artists~alder/x.txt"
    written = file.read_bytes()
    file.write_bytes("\ufeffmine, \r\n second line\r\n\r\n".encode())
    run_stage(tagged, check.STAGE, check.Options(), quiet)
    edits = next(run for run in tagged.runs() if run.stage == "edits")
    undone = undo(tagged, edits)
    assert file.read_bytes() == written and "images/artists~alder/x.png" not in tagged.manual_captions()
    undo(tagged, find(tagged, undone.by))
    assert file.read_bytes() == "\ufeffmine, \r\n second line\r\n\r\n".encode()
    assert tagged.decisions("caption")["images/artists~alder/x.png"].value == "mine,\nsecond line"


def test_files_that_work_made_and_replaced_are_put_back(flattened):

    def work(text):
        def make(manifest, options, progress):
            folder = manifest.root / "runs/a"
            folder.mkdir(parents=True, exist_ok=True)
            for name in ("one.bin", "two.bin"):
                temporary = folder / f".{name}"
                temporary.write_text(text)
                temporary.replace(folder / name)
            (folder / f"{text}.bin").write_text(text)
            (folder / "gone.bin").unlink(missing_ok=True)
            return WorkResult()

        return make

    def run(text):
        stage = Stage(
            name="x",
            help="",
            reads=(),
            options=bucket.Options,
            plan=lambda *_: Plan("x", ()),
            work=work(text),
            files=lambda _: ("runs/a/*",),
        )
        return run_stage(flattened, stage, bucket.Options(), quiet, force=True)

    def files():
        return {file.name: file.read_text() for file in (flattened.root / "runs/a").glob("*")}

    run("first")
    (flattened.root / "runs/a/gone.bin").write_text("made by a person")
    one = files()
    run("second")
    two = files()
    assert two == {"one.bin": "second", "two.bin": "second", "first.bin": "first", "second.bin": "second"}
    undone = undo(flattened, find(flattened, 3))
    assert files() == one
    undo(flattened, find(flattened, undone.by))
    assert files() == two
    undo(flattened, find(flattened, 3))
    undo(flattened, find(flattened, 2))
    assert files() == {"gone.bin": "made by a person"}


def test_a_run_whose_files_are_not_kept_any_more_is_refused(tagged, source):
    repaint(41, source / "artists/alder/x.png")
    run_flatten(tagged, source)
    (kept,) = (file for file in (tagged.root / "undo").rglob("*") if file.is_file())
    kept.unlink()
    before = state(tagged)
    with pytest.raises(
        PrepError, match=r"1 files that run 2 replaced are not kept any more, such as images/artists~alder"
    ):
        undo(tagged, find(tagged, 2))
    assert state(tagged) == before


def test_runs_that_are_not_there_or_undone_are_reported(tagged):
    with pytest.raises(PrepError, match="there is no run 99") as caught:
        find(tagged, 99)
    assert "runs 1 to 1" in caught.value.hint
    undone = undo(tagged, find(tagged, 1))
    with pytest.raises(PrepError, match=r"run 1 \(flatten\) was undone by run 2 already") as caught:
        find(tagged, 1)
    assert caught.value.hint.endswith("2")
    again = undo(tagged, find(tagged, undone.by))
    with pytest.raises(PrepError, match="run 3 brought back run 1"):
        find(tagged, again.by)


def test_the_command_undoes_and_says_how_to_bring_it_back(command, source, tmp_path):
    root = tmp_path / "set"
    command("flatten", source, root)
    command("check", root)
    result = command("undo", root)
    assert result.exit_code == 0 and "run 2 (check) is undone: 5 rows" in result.stderr
    assert f"prep undo {root} 3" in result.stderr and "undone by run 3" in command("log", root).stdout
    document = json.loads(command("undo", root, "1", "--since", "--json").stdout)
    assert [(row["run"], row["images"], row["files"]) for row in document["undone"]] == [(1, 5, 5)]
    assert command("undo", root).exit_code == 1


def test_an_undo_killed_between_any_two_moves_goes_on(tagged, source, monkeypatch):
    run_stage(tagged, curate.STAGE, curate.Options(), quiet)
    before = state(tagged)
    repaint(41, source / "artists/alder/x.png")
    save(painted(42, 1.5), source / "artists/alder/more.png")
    run_flatten(tagged, source)
    run_stage(tagged, curate.STAGE, curate.Options(), quiet)
    number = next(run.id for run in tagged.runs() if run.stage == "flatten" and run.id > 1)
    real = os.replace
    for stop in range(1, 40):
        calls = [0]

        def dying(self, target, stop=stop, calls=calls):
            calls[0] += 1
            if calls[0] == stop:
                raise KeyboardInterrupt
            return real(self, target)

        with monkeypatch.context() as patch:
            patch.setattr("pathlib.Path.replace", dying)
            with contextlib.suppress(
                KeyboardInterrupt
            ):  # the stop that `dying` makes; what it leaves is looked at below
                for run in since(tagged, tagged.runs()[number - 1]):
                    undo(tagged, run)
        for run in since(tagged, tagged.runs()[number - 1]):
            undo(tagged, run)
        assert state(tagged) == before, stop
        if calls[0] < stop:
            break
        run_flatten(tagged, source)
        run_stage(tagged, curate.STAGE, curate.Options(), quiet)
        number = [run.id for run in tagged.runs() if run.stage == "flatten"][-1]
    assert stop > 3


def test_the_record_opens_in_any_sqlite_tool(tagged):
    with sqlite3.connect(tagged.root / "manifest.db") as connection:
        assert connection.execute("SELECT count(*) FROM images").fetchone() == (5,)


def test_single_rows_are_put_and_noted(tagged):
    with tagged.transaction():
        run = tagged.begin_run("x", {})
        assert tagged.put_rows(run, [decided("a", "manual_caption", "t"), decided("b", "manual_caption", "t")]) == 2
        assert (
            tagged.put_rows(
                run, [decided("a", "manual_caption", "t")], [("b", "manual_caption"), ("c", "manual_caption")]
            )
            == 1
        )
    assert tagged.manual_captions()["a"] == "t" and "b" not in tagged.manual_captions()
    assert isinstance(tagged, Manifest)
