import zipfile
from dataclasses import replace

import pytest

from pipeline.config.settings import Settings, load_settings, settings_of, toml_text
from pipeline.core.errors import PrepError
from pipeline.sources import hub
from pipeline.sources.settings_owner import remember, same_settings
from pipeline.sources.source_list import holds, with_sources


def test_new_sources_are_added_to_the_known_ones_without_dots_or_doubles(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    known = Settings(sources=(str(tmp_path / "a"),))
    wider = with_sources(known, (tmp_path / "b/../b", tmp_path / "a", tmp_path / "b"))
    assert wider.sources == (str(tmp_path / "a"), str(tmp_path / "b"))


@pytest.mark.parametrize(("name", "message"), [("gone", "no folder"), ("file", "is not a folder")])
def test_a_source_that_is_no_folder_is_reported(tmp_path, name, message):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PrepError, match=message):
        with_sources(Settings(), (tmp_path / name,))


def test_an_archive_is_a_source_by_what_it_holds_and_an_unknown_scheme_is_none(tmp_path):
    with zipfile.ZipFile(tmp_path / "pictures", "w") as archive:
        archive.writestr("a.txt", "x")
    assert with_sources(Settings(), (tmp_path / "pictures",)).sources == (str(tmp_path / "pictures"),)
    (tmp_path / "fake.zip").write_bytes(b"not a zip")
    with pytest.raises(PrepError, match=r"fake.zip is not a folder, nor an archive that is read"):
        with_sources(Settings(), (tmp_path / "fake.zip",))
    with pytest.raises(PrepError, match=r"s3://bucket/x is no source that is known") as caught:
        with_sources(Settings(), ("s3://bucket/x",))
    assert "hf://datasets/OWNER/NAME" in caught.value.hint


def test_a_repository_is_remembered_at_its_commit_and_stays_there_until_another_is_named(monkeypatch):
    asked = []

    def pinned(source):
        asked.append(source)
        return str(replace(hub.address(source), revision=f"{len(asked):040x}"))

    monkeypatch.setattr(hub, "pinned", pinned)
    first = with_sources(Settings(), ("hf://datasets/o/n/folder",))
    assert first.sources == (f"hf://datasets/o/n@{1:040x}/folder",)
    assert with_sources(first, ("hf://datasets/o/n/folder",)) is first and len(asked) == 1
    other = with_sources(first, ("hf://datasets/o/n@v2/folder",))
    assert other.sources == (f"hf://datasets/o/n@{2:040x}/folder",)
    assert len(with_sources(other, ("hf://datasets/o/n",)).sources) == 2


@pytest.mark.parametrize(
    ("source", "path", "expected"),
    [
        ("/a/b", "/a/b/c.png", True),
        ("/a/b", "/a/bc/d.png", False),
        ("/a/x.zip", "/a/x.zip!/c.png", True),
        ("hf://datasets/o/n@1", "hf://datasets/o/n@1/c.png", True),
        ("hf://datasets/o/n@1", "hf://datasets/o/n@12/c.png", False),
    ],
)
def test_what_belongs_to_a_source_is_reported_by_its_path(source, path, expected):
    assert holds(source, path) is expected


def test_a_prep_toml_that_prep_wrote_grows_and_a_persons_is_left_alone(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    root = tmp_path / "set"
    first = with_sources(Settings(), (tmp_path / "a",))
    remember(root, Settings(), first)
    given = settings_of(root)
    assert given.sources == (str(tmp_path / "a"),)
    remember(root, given, with_sources(given, (tmp_path / "b",)))
    assert settings_of(root).sources == (str(tmp_path / "a"), str(tmp_path / "b"))
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
