"""Settings, label files, rules and archives of strangers: read or refused with words, whatever their bytes."""

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.config.settings import load_settings
from pipeline.core.errors import PrepError
from pipeline.sources.archive.archives import entries
from pipeline.tags.vocabulary.rules_file import read_rules
from taggers.errors import TaggerError
from taggers.labels import read_labels

SHORT = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LONG = settings(max_examples=5000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def pieces(text: str, most: int = 12) -> st.SearchStrategy[str]:
    """Texts of some of the pieces, which are split at spaces; ~ stands for one, ; for a line's end."""
    parts = [part.replace("~", " ").replace(";", "\n") for part in text.split()]
    return st.lists(st.sampled_from(parts), max_size=most).map("".join)


TOML = pieces('[set]; [train]; [curate]; sources~=~[ "a" ]; rank~=~ 1e24 -5 true {a~=~1} ; = [[')
LABELS = pieces('tag_id,name,category,count; 1, cat_ears, "a""b", 0 ,9; ; nan é "', 14)
RULES = pieces("keep: prune: rename: ~a~ -> b :) ; threshold: =~2 * #")


def in_file(folder: Path, name: str, content: bytes) -> Path:
    file = folder / name
    file.write_bytes(content)
    return file


def read_settings(folder: Path, content: bytes) -> None:
    try:
        load_settings(in_file(folder, "prep.toml", content))
    except PrepError as error:
        assert error.message


def labels(folder: Path, content: bytes) -> None:
    try:
        read_labels(in_file(folder, "selected_tags.csv", content))
    except TaggerError as error:
        assert str(error)


def rules(folder: Path, content: bytes) -> None:
    try:
        read_rules(in_file(folder, "rules.txt", content))
    except PrepError as error:
        assert error.message


@given(TOML)
@SHORT
def test_any_settings_are_read_or_refused(tmp_path: Path, text: str) -> None:
    read_settings(tmp_path, text.encode())


@given(st.one_of(LABELS.map(str.encode), st.binary(max_size=80)))
@SHORT
def test_any_label_file_is_read_or_refused(tmp_path: Path, content: bytes) -> None:
    labels(tmp_path, content)


@given(st.one_of(RULES.map(str.encode), st.binary(max_size=80)))
@SHORT
def test_any_file_of_rules_is_read_or_refused(tmp_path: Path, content: bytes) -> None:
    rules(tmp_path, content)


def small_zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        packed.writestr("a/x.png", b"\x89PNG\r\n\x1a\n")
        packed.writestr("b.txt", b"caption")
    return stream.getvalue()


ZIP = small_zip()


def opened(folder: Path, place: int, junk: bytes) -> None:
    content = ZIP[:place] + junk + ZIP[place + len(junk) :]
    try:
        found = list(entries(in_file(folder, "p.zip", content), folder / "cache"))
    except PrepError as error:
        assert error.message
    else:
        assert all(".." not in Path(each.place).parts for each in found if each.file)


@given(st.integers(0, len(ZIP)), st.binary(min_size=1, max_size=12))
@SHORT
def test_any_damage_of_an_archive_is_a_row_or_an_error(tmp_path: Path, place: int, junk: bytes) -> None:
    opened(tmp_path, place, junk)


@pytest.mark.slow
@given(TOML, LABELS, RULES, st.integers(0, len(ZIP)), st.binary(min_size=1, max_size=20))
@LONG
def test_all_of_them_for_long(tmp_path: Path, toml: str, csv: str, rule: str, place: int, junk: bytes) -> None:
    read_settings(tmp_path, toml.encode())
    labels(tmp_path, csv.encode())
    rules(tmp_path, rule.encode())
    opened(tmp_path, place, junk)
