import pytest

from pipeline.errors import PrepError
from pipeline.settings import Settings, load_settings, settings_of, toml_text
from pipeline.sources import remember, same_settings, with_sources


def test_new_sources_are_added_to_the_known_ones_without_dots_or_doubles(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    known = Settings(sources=(tmp_path / "a",))
    wider = with_sources(known, (tmp_path / "b/../b", tmp_path / "a", tmp_path / "b"))
    assert wider.sources == (tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize(("name", "message"), [("gone", "no folder"), ("file", "is not a folder")])
def test_a_source_that_is_no_folder_is_told(tmp_path, name, message):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PrepError, match=message):
        with_sources(Settings(), (tmp_path / name,))


def test_a_prep_toml_that_prep_wrote_grows_and_a_persons_is_left_alone(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    root = tmp_path / "set"
    first = with_sources(Settings(), (tmp_path / "a",))
    remember(root, Settings(), first)
    given = settings_of(root)
    assert given.sources == (tmp_path / "a",)
    remember(root, given, with_sources(given, (tmp_path / "b",)))
    assert settings_of(root).sources == (tmp_path / "a", tmp_path / "b")
    file = root / "prep.toml"
    text = "# mine\n" + file.read_text(encoding="utf-8")
    file.write_text(text, encoding="utf-8")
    (tmp_path / "c").mkdir()
    with pytest.raises(PrepError, match="does not list the source") as caught:
        with_sources(settings_of(root), (tmp_path / "c",))
    assert str(tmp_path / "c") in caught.value.hint and file.read_text(encoding="utf-8") == text


def test_settings_from_elsewhere_are_kept_in_the_set(tmp_path):
    file = tmp_path / "my.toml"
    file.write_text('[set]\npath = "set"\nsources = ["a"]\n[check]\nmin_side = 48\n', encoding="utf-8")
    settings = load_settings(file)
    remember(tmp_path / "set", settings, settings)
    assert settings_of(tmp_path / "set").stages == {"check": {"min_side": 48}}
    assert same_settings(tmp_path / "set", settings)
    (tmp_path / "set/prep.toml").write_text(toml_text(Settings()), encoding="utf-8")
    assert not same_settings(tmp_path / "set", settings)
