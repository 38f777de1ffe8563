import json

import pytest

from pipeline.store.history.changes import changes
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.captions import CaptionReason
from pipeline.store.records import Decision
from pipeline.store.wording import figures


@pytest.fixture
def manifest(tmp_path):
    manifest = Manifest.open(tmp_path / "set", create=True)
    texts = ("a, b", "a, c", "a, b", None)
    for number, text in enumerate(texts):
        rows = (
            []
            if text is None
            else [Decision("images/x.png", "caption", text, CaptionReason.CHOSEN, {"tags": number, "considered": 0})]
        )
        with manifest.transaction():
            run = manifest.begin_run("curate", {})
            manifest.put_decisions(run, ("caption",), rows)
            manifest.finish_run(run, {})
    return manifest


def test_a_run_tells_what_it_changed(manifest):
    (one,) = changes(manifest, 1, 2)
    assert (one.before.value, one.after.value, one.run) == ("a, b", "a, c", 2)
    (first,) = changes(manifest, 0, 1)
    assert first.before is None and first.after.value == "a, b"
    (gone,) = changes(manifest, 3, 4)
    assert gone.before.value == "a, b" and gone.after is None


def test_several_changes_of_a_row_are_one_and_none_if_it_is_as_it_was(manifest):
    (one,) = changes(manifest, 1, 3)
    assert (figures(one.before), figures(one.after)) == ("0 tags, 0 more considered", "2 tags, 0 more considered")
    assert list(changes(manifest, 0, 4)) == []


def test_the_command_shows_captions_word_by_word_and_never_as_markup(command, manifest):
    manifest.close()
    result = command("diff", manifest.root, "2")
    assert "a, [-b-]{+c+}" in result.stdout and "run 2 (curate)" in result.stderr
    assert "caption" in command("diff", manifest.root).stdout
    document = json.loads(command("diff", manifest.root, "1", "2", "--json").stdout)
    assert [piece["kind"] for piece in document["rows"][0]["words"]] == ["same", "removed", "added"]
    assert "from run 1 (curate) to run 3 (curate)" in command("diff", manifest.root, "3", "1").stderr
    assert command("diff", manifest.root, "9").exit_code == 1
    assert "give one run, or two" in command("diff", manifest.root, "1", "2", "3").stderr
    assert "no difference" in command("diff", manifest.root, "2", "--field", "keep").stderr


def test_files_that_came_are_counted(command, source, tmp_path):
    command("flatten", source, tmp_path / "set")
    result = command("diff", tmp_path / "set", "1", "--json")
    assert {row["what"] for row in json.loads(result.stdout)["files"]} == {"made"}
    assert len(json.loads(result.stdout)["files"]) == 5
