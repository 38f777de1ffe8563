import sqlite3

import pytest
from decided import decided, scored, trigger

from pipeline.core.errors import PrepError
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.check import CheckReason
from pipeline.store.records import Decision, Image, Measurement, Tagger
from pipeline.store.values.bucket import Bucket


@pytest.fixture
def manifest(tmp_path):
    return Manifest.open(tmp_path / "set", create=True)


def test_a_set_is_only_made_when_asked_for(tmp_path):
    with pytest.raises(PrepError, match="no set at") as caught:
        Manifest.open(tmp_path / "set")
    assert caught.value.hint.startswith("make one with: prep flatten") and not (tmp_path / "set").exists()


def test_a_preview_of_a_set_that_is_not_there_leaves_nothing_on_disk(tmp_path):
    with Manifest.preview(tmp_path / "set") as manifest:
        assert manifest.images() == ()
    assert not (tmp_path / "set").exists()


def test_a_file_where_a_set_should_be_and_a_file_that_is_no_database_are_reported(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PrepError, match="is a file, a set is a folder"):
        Manifest.open(tmp_path / "file", create=True)
    (tmp_path / "manifest.db").write_bytes(b"no database" * 1000)
    with pytest.raises(PrepError, match="is not a manifest"):
        Manifest.open(tmp_path)


def test_a_newer_format_is_refused(manifest):
    manifest.close()
    with sqlite3.connect(manifest.root / "manifest.db") as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(PrepError, match="has format 99"):
        Manifest.open(manifest.root)


def test_a_transaction_is_all_or_nothing(manifest):
    with pytest.raises(ZeroDivisionError), manifest.transaction():
        manifest.put_files([("a", 1, 2, "c")])
        raise ZeroDivisionError
    assert manifest.known_files() == {}


def test_records_read_back_as_they_were_written(manifest):
    image = Image("images/a/x.png", "a", "/s/x.png", "c1", 3, "copy")
    measured = Measurement("c1", width=4, height=5, format="PNG", transparent=True, sharpness=1.5, phash="0f")
    tagger = Tagger("t", "r", "p", "CPU", {"1girl": "general"})
    with manifest.transaction():
        manifest.put_images([image])
        manifest.put_measurements([measured])
        manifest.put_tagger(tagger)
        manifest.put_scores(tagger.id, {"c1": {"1girl": 0.9}})
    assert manifest.images() == (image,) and manifest.measurements() == {"c1": measured}
    assert manifest.taggers() == {tagger.id: tagger} and manifest.scores(tagger.id) == {"c1": {"1girl": 0.9}}
    assert manifest.scored(tagger.id) == {"c1"}


def test_decisions_replace_those_of_their_fields_and_every_change_is_noted(manifest):
    first = [
        Decision("a", "keep", True, CheckReason.GOOD),
        Decision("b", "keep", True, CheckReason.GOOD),
        decided("a", "bucket", Bucket.whole((8, 8))),
    ]
    second = [Decision("a", "keep", False, CheckReason.BLURRY, {"sharpness": 9.0, "least": 20.0})]
    with manifest.transaction():
        one = manifest.begin_run("check", {})
        assert manifest.put_decisions(one, ("keep", "bucket"), first) == 3
        two = manifest.begin_run("check", {})
        assert manifest.changes(("keep",), second) == {
            ("a", "keep"): (first[0], second[0]),
            ("b", "keep"): (first[1], None),
        }
        assert manifest.put_decisions(two, ("keep",), second) == 2
        assert manifest.put_decisions(two, ("keep",), second) == 0
    assert manifest.decisions("keep") == {"a": second[0]} and manifest.decisions_of("a") == (first[2], second[0])
    assert tuple(manifest.all_decisions()) == ((one, first[2]), (two, second[0]))


def test_before_any_check_every_image_is_kept(manifest):
    images = [Image(f"images/{name}", "a", name, name, 1, "copy") for name in "ab"]
    with manifest.transaction():
        manifest.put_images(images)
    assert manifest.kept() == tuple(images)
    with manifest.transaction():
        manifest.put_decisions(1, ("keep",), [Decision("images/a", "keep", False, CheckReason.BLURRY)])
    assert manifest.kept() == (images[1],)


def test_the_digest_follows_values_not_reasons(manifest):
    def put(value, reason):
        with manifest.transaction():
            manifest.put_decisions(1, ("keep",), [decided("a", "keep", value)])
        return manifest.digest("keep")

    assert put(True, "good") == put(True, "other words") != put(False, "good")


def test_runs_are_unfinished_until_they_end(manifest):
    with manifest.transaction():
        run = manifest.begin_run("check", {"a": 1}, {"images": "x"}, {"prep": "1"}, ("runs/*",))
    assert manifest.last_run("check").finished == "" and manifest.last_run("bucket") is None
    with manifest.transaction():
        manifest.finish_run(run, {"good": 3})
    found = manifest.last_run("check")
    assert found.counts == {"good": 3} and found.finished and found.inputs == {"images": "x"}
    assert found.versions == {"prep": "1"} and manifest.patterns(run) == ("runs/*",) and found.undone is None


def test_the_runs_of_a_stage_are_reported_apart_by_their_names(manifest):
    with manifest.transaction():
        runs = [manifest.begin_run("train", {"name": name}) for name in ("a", "b", "a")]
    assert manifest.last_run("train").id == manifest.last_run("train", "a").id == runs[2]
    assert manifest.last_run("train", "b").id == runs[1] and manifest.last_run("train", "c") is None


def test_trigger_words_are_those_that_lead_the_tags(manifest):
    rows = {
        "both": [trigger('Lumi "x"'), trigger("white witch"), scored("smile")],
        "none": [scored("smile"), trigger("late")],
        "empty": [],
        "alone": [trigger("alder, ✨")],
    }
    with manifest.transaction():
        manifest.put_decisions(1, ("tags",), [decided(path, "tags", value) for path, value in rows.items()])
    assert manifest.trigger_words() == {"both": ('Lumi "x"', "white witch"), "alone": ("alder, ✨",)}
    assert {path: list(value) for path, value in manifest.values("tags")} == rows
