import json

import pytest
from painted_sets import painted, save
from recorded_sets import recorded_set

from pipeline.stages import train
from pipeline.store.manifest import Manifest
from pipeline.store.running.freshness import inputs, options_json
from train.options.recipe import make_recipe


@pytest.fixture
def settings(source, tmp_path):
    file = tmp_path / "my.toml"
    file.write_text(
        f'[set]\npath = "made"\nsources = ["{source.name}"]\n[check]\nmin_side = 48\n'
        "[bucket]\nresolution = 64\nbucket_reso_steps = 8\n",
        encoding="utf-8",
    )
    return file


def states(command, root):
    return {row["stage"]: row["state"] for row in json.loads(command("status", root, "--json").stdout)["stages"]}


def test_run_goes_through_the_stages_and_skips_what_is_fresh(command, settings, tmp_path):
    result = command("run", settings, "--until", "bucket", "-v")
    assert result.exit_code == 0, result.output
    page = tmp_path / "made/reports/report.html"
    assert f"report: {page}" in result.stderr and page.exists()
    assert f"next: prep tag {tmp_path / 'made'}" in result.stderr
    assert [line for line in result.stderr.splitlines() if line.endswith("decisions changed")] == [
        "flatten: 9 decisions changed",
        "check: 5 decisions changed",
        "bucket: 5 decisions changed",
    ]
    again = command("run", tmp_path / "made", "--until", "bucket")
    assert again.stderr.count("up to date, nothing to do") == 3
    document = json.loads(command("run", settings, "--until", "bucket", "--json").stdout)
    assert [row["fresh"] for row in document["stages"]] == [True] * 3


def test_settings_from_elsewhere_stay_with_the_set(command, settings, tmp_path):
    command("run", settings, "--until", "check")
    assert states(command, tmp_path / "made")["check"] == "fresh"
    assert "min_side = 48" in (tmp_path / "made/prep.toml").read_text(encoding="utf-8")
    settings.write_text(settings.read_text(encoding="utf-8").replace("48", "50"), encoding="utf-8")
    warned = command("check", tmp_path / "made").stderr
    assert f"{settings} owns the settings of this set and differs from" in warned and f"prep run {settings}" in warned
    assert command("run", settings, "--until", "check").exit_code == 0
    assert "min_side = 50" in (tmp_path / "made/prep.toml").read_text(encoding="utf-8"), "written through"
    assert "owns the settings" not in command("check", tmp_path / "made").stderr
    assert "check: up to date" in command("check", tmp_path / "made").stderr, "old settings do not come back"


def test_a_copy_of_settings_that_was_edited_is_no_second_owner(command, settings, tmp_path):
    command("run", settings, "--until", "check")
    copy = tmp_path / "made/prep.toml"
    copy.write_text(copy.read_text(encoding="utf-8").replace("48", "51"), encoding="utf-8")
    result = command("run", settings, "--until", "check")
    assert result.exit_code == 1 and f"but the settings of this set are those of {settings}" in result.output
    copy.write_text(copy.read_text(encoding="utf-8").partition("\n")[2], encoding="utf-8")
    result = command("run", settings, "--until", "check")
    assert result.exit_code == 0 and "; this run uses " in result.stderr
    assert "min_side = 51" in copy.read_text(encoding="utf-8"), "without that line it is the set's own"


def test_a_preview_of_a_run_stops_where_it_cannot_see_further(command, settings, tmp_path):
    result = command("run", settings, "--dry-run", "--until", "bucket")
    assert "check needs what flatten would make" in result.stderr and not (tmp_path / "made").exists()
    command("run", settings, "--until", "check")
    result = command("run", settings, "--dry-run", "--until", "tag")
    assert "flatten: up to date" in result.stderr and "bucket: 5 decisions would change" in result.stderr


def test_the_preview_of_a_run_is_one_json_document(command, settings):
    document = json.loads(command("run", settings, "--dry-run", "--until", "bucket", "--json").stdout)
    assert [row["stage"] for row in document["stages"]] == ["flatten", "check"] and document["stages"][1]["stopped"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no settings at"),
        ("[check]\n", "does not name the folder of the set"),
        ("[chek]\n", "unknown section [chek]"),
    ],
)
def test_a_run_without_usable_settings_is_reported(command, tmp_path, text, message):
    if text is not None:
        (tmp_path / "my.toml").write_text(text, encoding="utf-8")
    result = command("run", tmp_path / "my.toml")
    assert result.exit_code == 1 and message in result.stderr


def test_status_says_fresh_stale_never_run_and_other_settings(command, settings, source, tmp_path):
    root = tmp_path / "made"
    command("run", settings, "--until", "bucket")
    found = states(command, root)
    assert found["bucket"] == "fresh" and found["balance"] == "never run" and found["flatten"] == "fresh"
    command("bucket", root, "--batch-size", "2")
    assert states(command, root)["bucket"] == "fresh, but prep.toml has other settings: batch_size was 2, now 1"
    save(painted(90, 1.5), source / "artists/alder/new.png")
    assert states(command, root)["flatten"] == "stale: sources changed"
    command("flatten", root)
    found = states(command, root)
    assert (
        found["flatten"] == "fresh"
        and found["check"] == "stale: images changed by flatten (run 5)"
        and found["bucket"] == "stale: batch_size was 2, now 1; images changed by flatten (run 5)"
    )
    (root / "images/artists~alder/new.png").unlink()
    assert states(command, root)["flatten"].startswith("stale: images of the set lost or edited: 1")


def test_status_tells_a_run_that_was_killed(command, settings, tmp_path):
    command("run", settings, "--until", "check")
    with Manifest.open(tmp_path / "made") as manifest, manifest.transaction():
        manifest.begin_run("check", {})
    assert states(command, tmp_path / "made")["check"] == "unfinished: run it again"
    assert "unfinished" in command("log", tmp_path / "made").stdout


def test_log_lists_runs_and_filters_decisions(command, settings, source, tmp_path):
    root = tmp_path / "made"
    command("run", settings, "--until", "bucket")

    def decisions(*filters):
        return json.loads(command("log", root, *filters, "--json").stdout)["decisions"]

    assert command("log", root).stdout.count("done") == 3
    assert {row["stage"] for row in decisions("--image", "alder/x.png")} == {"flatten", "check", "bucket"}
    assert {row["field"] for row in decisions("--image", "images/artists~alder/*")} == {"imported", "keep", "bucket"}
    assert {row["reason"] for row in decisions("--reason", "caption")} == {"caption_imported", "manual_caption"}
    assert len(decisions("--concept", "characters", "--stage", "check")) == 3
    assert len(decisions("--concept", "char")) == 0
    assert "… and 4 more" in command("log", root, "--stage", "check", "--limit", "1").stderr
    assert "no decision matches" in command("log", root, "--reason", "no such").stderr


def test_a_run_of_so_many_steps_is_not_taken_for_one_of_another_version(command, tmp_path):
    rows = [(f"images/Lumi/{number}.png", "Lumi", (64, 64), "Lumi, 1girl", 1.0) for number in range(3)]
    with recorded_set(tmp_path / "set", rows) as manifest:
        made = make_recipe(base="miniature", steps=3)
        read = inputs(manifest, train.STAGE, made)
        with manifest.transaction():
            manifest.finish_run(manifest.begin_run("train", json.loads(options_json(made)), read), {})
    (tmp_path / "set/prep.toml").write_text('[train]\nbase = "miniature"\n', encoding="utf-8")
    said = "fresh, but prep.toml has other settings: steps was 3, now not given"
    assert states(command, tmp_path / "set")["train"] == said
