"""A stage that would decide otherwise now is said before it is read, and brought up to date where that is asked for."""

import pytest
from click.testing import CliRunner
from painted_sets import painted, save

from pipeline.cli.main import prep
from pipeline.store.manifest import Manifest


@pytest.fixture
def ask(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        save(painted(number, 6), tmp_path / f"pics/Lumi/{number}.png")

    def run(*args):
        return CliRunner().invoke(prep, list(args), standalone_mode=False, catch_exceptions=False)

    for args in (
        ["flatten", "pics", "s"],
        ["check", "s"],
        ["bucket", "s"],
        ["curate", "s", "--tagger", "none"],
        ["balance", "s"],
    ):
        run(*args)
    return run


def settings(tmp_path, text):
    file = tmp_path / "s/prep.toml"
    file.write_text(file.read_text() + text)


def repeats(tmp_path):
    with Manifest.open(tmp_path / "s") as manifest:
        return {row.value.exact for row in manifest.decisions("repeats").values()}


def test_nothing_is_said_while_all_is_up_to_date_and_what_was_typed_stays(ask):
    assert "stale" not in ask("balance", "s").stderr
    ask("check", "s", "--min-side", "65")
    assert "check is stale" not in ask("bucket", "s").stderr, "a flag that was typed is no older setting"


def test_a_setting_changed_after_a_stage_ran_is_said_by_those_that_read_it(ask, tmp_path):
    settings(tmp_path, "\n[check]\nmin_side = 9999\n")
    shown = ask("bucket", "s").stderr
    assert "check is stale: min_side is 9999 now, it was 64; bring it up to date with: prep check s" in shown
    assert "check is stale" in ask("export", "s", "out", "--layout", "kohya").stderr
    with Manifest.open(tmp_path / "s") as manifest:
        assert len(manifest.kept()) == 4, "what was decided is used, as was said"


def test_update_runs_what_is_stale_first_one_after_another(ask, tmp_path):
    save(painted(9, 6), tmp_path / "pics/Lumi/new.png")
    settings(tmp_path, "\n[balance]\nmax_repeat = 1\nmin_repeat = 1\n")
    shown = ask("regularize", "s", "--images", "none", "--stale", "update").stderr
    for name in ("flatten", "check", "bucket", "curate", "balance"):
        assert f"{name} is brought up to date first" in shown
    with Manifest.open(tmp_path / "s") as manifest:
        assert len(manifest.decisions("repeats")) == 5 and manifest.last_run("curate").options["tagger"] == "none"
    assert repeats(tmp_path) == {1.0} and "up to date first" not in ask("balance", "s", "--stale", "update").stderr


def test_training_updates_unless_it_is_told_not_to_and_a_preview_only_says(ask, tmp_path):
    settings(tmp_path, "\n[check]\nmin_side = 9999\n")
    shown = ask("train", "s", "--base", "miniature", "--dry-run", "--steps", "2").stderr
    assert "check is stale" in shown and "brought up to date" not in shown
    assert "[default: update]" in " ".join(ask("train", "--help").stdout.split())
