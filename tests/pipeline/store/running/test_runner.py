import dataclasses
import importlib
import os
from dataclasses import dataclass

import pytest
from decided import decided
from painted_sets import painted, quiet, save

from pipeline.config.registry import STAGES
from pipeline.core.errors import PrepError
from pipeline.store.caption_files import captions
from pipeline.store.failures import CannotUse
from pipeline.store.manifest import Manifest
from pipeline.store.records import Image, Link, Plan
from pipeline.store.running.runner import preview_stage, run_stage
from pipeline.store.running.stage import Stage, WorkResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    word: str = "a"


def stage(**parts):
    plan = parts.pop(
        "plan",
        lambda manifest, options: Plan("x", ("caption",), (decided("images/a/1.png", "caption", options.word),)),
    )
    return Stage(name="x", help="", reads=("images",), options=Options, plan=plan, **parts)


@pytest.fixture
def manifest(tmp_path):
    return Manifest.open(tmp_path / "set", create=True)


def test_a_stage_is_skipped_while_nothing_it_reads_changed(manifest):
    assert not run_stage(manifest, stage(), Options(), quiet).fresh
    assert run_stage(manifest, stage(), Options(), quiet).fresh
    assert not run_stage(manifest, stage(), Options(), quiet, force=True).fresh
    assert not run_stage(manifest, stage(), Options(word="b"), quiet).fresh
    assert not run_stage(manifest, stage(observe=lambda *_: "seen"), Options(word="b"), quiet).fresh


@dataclass(frozen=True)
class Later:
    """The options of a later version, which has one more."""

    word: str = "a"
    spelling: str = "spaces"


def test_an_option_of_a_later_version_makes_a_set_stale_only_where_it_is_given(manifest):
    run_stage(manifest, stage(), Options(word="b"), quiet)
    later = dataclasses.replace(stage(), options=Later)
    assert run_stage(manifest, later, Later(word="b"), quiet).fresh
    assert not run_stage(manifest, later, Later(word="b", spelling="underscores"), quiet).fresh
    assert run_stage(manifest, later, Later(word="b", spelling="underscores"), quiet).fresh
    assert not run_stage(manifest, later, Later(word="b"), quiet).fresh, "it was given, and is not now"
    run_stage(manifest, later, Later(word="b", spelling="underscores"), quiet)
    assert not run_stage(manifest, stage(), Options(word="b"), quiet).fresh, "an option that is known no more counts"


@pytest.mark.parametrize("entry", STAGES, ids=lambda entry: entry.name)
def test_every_stage_can_be_asked_with_nothing_given(entry):
    assert importlib.import_module(entry.module).STAGE.options() is not None


def test_a_stage_that_misses_what_it_made_runs_again(manifest):
    gone = [""]
    one = stage(missing=lambda *_: gone[0])
    run_stage(manifest, one, Options(), quiet)
    assert run_stage(manifest, one, Options(), quiet).fresh
    gone[0] = "the adapter is not there"
    assert not run_stage(manifest, one, Options(), quiet).fresh


def test_a_failure_is_told_as_it_was_where_the_record_cannot_be_written_to_either(manifest, monkeypatch):
    def full(*_):
        raise CannotUse("database or disk is full")

    def work(*_):
        monkeypatch.setattr("pipeline.store.history.undo_log.finalize", full)
        monkeypatch.setattr(manifest, "drop_run", full)
        monkeypatch.setattr(manifest, "did_something", lambda run: False)
        raise PrepError("the adapter could not be written")

    with pytest.raises(PrepError, match="the adapter could not be written"):
        run_stage(manifest, stage(work=work), Options(), quiet)


def test_a_run_killed_at_work_is_done_again_and_its_rows_stay(manifest):
    def work(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(manifest, stage(work=work), Options(), quiet)
    assert manifest.last_run("x").finished == "" and manifest.decisions("caption")
    outcome = run_stage(manifest, stage(work=lambda *_: WorkResult({"painted": 2})), Options(), quiet)
    assert not outcome.fresh and outcome.changed == 0 and outcome.counts == {"chosen": 1, "painted": 2}


def test_a_preview_measures_and_writes_nothing_else(manifest):
    seen = []
    one = stage(measure=lambda *_: seen.append("measured"), work=lambda *_: seen.append("worked"))
    plan = preview_stage(manifest, one, Options(), quiet)
    assert plan.decisions and seen == ["measured"] and not manifest.runs() and not manifest.decisions("caption")


def test_captions_are_written_unless_a_person_wrote_one(manifest, tmp_path):
    with manifest.transaction():
        manifest.put_images([Image("images/a/1.png", "a", "/s/1.png", "c", 1, "copy")])
    run_stage(manifest, stage(), Options(), quiet)
    file = manifest.root / "images/a/1.txt"
    assert file.read_text(encoding="utf-8") == "a\n"
    file.write_text("mine", encoding="utf-8")
    run_stage(manifest, stage(), Options(word="b"), quiet)
    assert file.read_text(encoding="utf-8") == "mine" and manifest.manual_captions() == {"images/a/1.png": "mine"}


def test_captions_that_come_with_images_are_a_persons_and_links_say_what_they_became(manifest, tmp_path, monkeypatch):
    source = save(painted(1), tmp_path / "a.png")
    image = Image("images/a/1.png", "a", str(source), "c", 1, "hardlink")
    plan = Plan("x", (), images=(image,), links=(Link(str(source), image.path),), captions=((image.path, "mine\r\n"),))
    monkeypatch.setattr(os, "link", lambda *_, **__: (_ for _ in ()).throw(OSError(1, "not permitted")))
    run_stage(manifest, stage(plan=lambda *_: plan), Options(), quiet)
    assert manifest.manual_captions() == {image.path: "mine\r\n"}
    assert captions(manifest) == {image.path: "mine"}
    assert (manifest.root / "images/a/1.txt").read_bytes() == b"mine\r\n"
    assert manifest.images()[0].link in ("copy", "reflink") and source.exists()
