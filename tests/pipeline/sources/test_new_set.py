"""A set is made in a folder of its own: never in one of images without a word."""

import pytest
from click.testing import CliRunner
from painted_sets import painted, save

from pipeline.cli.main import prep
from pipeline.core.errors import PrepError
from pipeline.sources.new_set import check_folder


def refuse(words):
    return False


def test_a_folder_that_is_a_source_or_holds_images_is_refused_and_stays_as_it_is(tmp_path):
    image = save(painted(1), tmp_path / "pics/x/a.png")
    with pytest.raises(PrepError, match="pics is a source of images; the set needs a folder of its own"):
        check_folder(tmp_path / "pics", [str(tmp_path / "pics")], lambda words: True)
    with pytest.raises(PrepError, match=r"pics holds images, such as x.a\.png, and is no set") as caught:
        check_folder(tmp_path / "pics", [], refuse)
    assert "flatten FOLDER... SET" in caught.value.hint
    with pytest.raises(PrepError, match="is a file, not a folder"):
        check_folder(image, [], refuse)
    asked = []
    check_folder(tmp_path / "pics", [], lambda words: asked.append(words) or True)
    assert "holds images" in asked[0]


def test_a_new_an_empty_and_a_folder_of_other_files_are_fine(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/prep.toml").write_text("")
    for name in ("new", "empty", "other"):
        check_folder(tmp_path / name, [str(tmp_path / "pics")], refuse)


@pytest.mark.parametrize("names", [("pics", "pics"), ("other", "pics")])
def test_the_command_leaves_nothing_in_a_folder_of_images(tmp_path, monkeypatch, names):
    save(painted(1), tmp_path / "pics/a.png")
    save(painted(2), tmp_path / "other/b.png")
    monkeypatch.chdir(tmp_path)
    before = sorted(path.name for path in (tmp_path / "pics").iterdir())
    with pytest.raises(PrepError):
        CliRunner().invoke(prep, ["flatten", *names], standalone_mode=False, catch_exceptions=False)
    assert sorted(path.name for path in (tmp_path / "pics").iterdir()) == before
