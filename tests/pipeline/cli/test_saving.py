"""--save keeps flags in prep.toml, with what stands there; prep init shows all that can stand there."""

import pytest
from painted_sets import painted, save

from pipeline.config.settings import settings_of


@pytest.fixture
def root(command, tmp_path):
    for number in range(3):
        save(painted(number), tmp_path / f"pictures/Lumi/{number}.png")
    command("flatten", tmp_path / "pictures", tmp_path / "set")
    return tmp_path / "set"


def test_saved_flags_stand_in_prep_toml_beside_comments_and_hold_from_then_on(command, root):
    file = root / "prep.toml"
    before = file.read_text(encoding="utf-8")
    assert "# min_side = 64" in before, "the first flatten shows every setting"
    done = command("check", root, "--min-side", "32", "--keep", "a.png", "--save")
    assert done.exit_code == 0 and f"kept under [check] in {file}: min_side, keep" in done.stderr
    assert settings_of(root).stages["check"] == {"min_side": 32, "keep": ("a.png",)}
    assert [line for line in before.splitlines() if line not in file.read_text(encoding="utf-8").splitlines()] == []
    assert "apply to this run only" not in command("check", root, "--min-side", "32").stderr


def test_flags_are_not_saved_where_another_file_owns_the_settings(command, root, tmp_path):
    owner = tmp_path / "mine.toml"
    owner.write_text('[set]\npath = "other"\nsources = ["pictures"]\n', encoding="utf-8")
    command("run", owner, "--until", "check")
    kept = (tmp_path / "other/prep.toml").read_text(encoding="utf-8")
    refused = command("check", tmp_path / "other", "--min-side", "32", "--save")
    assert refused.exit_code == 1 and f"the settings of this set are those of {owner}" in refused.stderr
    assert f"prep run {owner}" in refused.stderr
    assert (tmp_path / "other/prep.toml").read_text(encoding="utf-8") == kept


def test_save_alone_or_in_a_preview_is_refused(command, root):
    assert "--save keeps the flags that are given, and none is" in command("check", root, "--save").stderr
    assert "--dry-run writes nothing" in command("check", root, "--min-side", "9", "--save", "--dry-run").stderr


def test_init_writes_every_setting_once_and_flatten_goes_on_from_there(command, tmp_path):
    save(painted(1), tmp_path / "pictures/Lumi/a.png")
    made = command("init", tmp_path / "set")
    assert made.exit_code == 0 and f"next: prep flatten FOLDER {tmp_path / 'set'}" in made.stderr
    again = command("init", tmp_path / "set")
    assert again.exit_code == 1 and "is there already, and is left as it is" in again.stderr
    assert command("flatten", tmp_path / "pictures", tmp_path / "set").exit_code == 0
    assert settings_of(tmp_path / "set").sources == (str(tmp_path / "pictures"),)
