"""Tables of dataset tools: whatever their columns are called, what was used is said and nothing is imported in name only."""

import json
import sys

import pyarrow
import pyarrow.parquet
import pytest
from decided import said
from hypothesis import given
from hypothesis import strategies as st
from painted_sets import painted, run_flatten, save

from pipeline.sources.beside.metadata_columns import columns_of, joined, lowered, name_of
from pipeline.sources.beside.metadata_files import parsed, positive, read_table
from pipeline.store.manifest import Manifest


def flattened(folder, **files):
    """What became of the files of a source with 0.png and 1.png, and the captions of these."""
    source = folder / "source"
    for number in range(2):
        save(painted(number), source / f"{number}.png")
    for name, content in files.items():
        path = source / name.replace("_", ".", 1)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    manifest = Manifest.open(folder / "set", create=True)
    run_flatten(manifest, source)
    rows = {path.rpartition("/")[2]: said(row) for path, row in manifest.decisions("imported").items()}
    return rows, {path.rpartition("/")[2]: text for path, text in manifest.manual_captions().items()}


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("rows", "captions", "words"),
    [
        (
            [{"file_name": "0.png", "prompt": "a photo"}, {"file_name": "1.png", "prompt": "b"}],
            ("a photo", "b"),
            "prompt",
        ),
        ([{"File_Name": "0.png", "Caption": "a"}, {"File_Name": "1.png", "Caption": "b"}], ("a", "b"), "caption"),
        ([{"image": "0.png", "text": ["x", "y z"]}, {"image": "1.png", "text": ["b"]}], ("x, y z", "b"), "text"),
        (
            [{"filename": "0.png", "captions": ["a cat on a mat today", "two"]}, {"filename": "1.png"}],
            ("a cat on a mat today\ntwo",),
            "captions",
        ),
        (
            [{"file_name": "0.png", "additional_feature": "a"}, {"file_name": "1.png", "additional_feature": "b"}],
            ("a", "b"),
            "additional_feature",
        ),
        (
            [{"image": {"path": "0.png", "bytes": None}, "text": "a"}, {"path": "1.png", "text": "b"}],
            ("a", "b"),
            "text",
        ),
        (
            [{"file_name": "0.png", "tags": ["hat", "1girl"]}, {"file_name": "1.png", "tags": "x, y"}],
            ("hat, 1girl", "x, y"),
            "",
        ),
    ],
)
def test_captions_come_from_whatever_their_column_is_called(tmp_path, rows, captions, words):
    found, texts = flattened(tmp_path, metadata_jsonl=lines(*rows))
    assert tuple(texts[name] for name in sorted(texts)) == captions
    assert found["metadata.jsonl"].startswith("metadata imported: 2 of 2 entries name an image")
    assert f"captions from {words}" in found["metadata.jsonl"] or not words


def test_a_column_that_is_not_understood_is_named_and_one_that_is_alone_makes_no_import(tmp_path):
    rows = [{"file_name": f"{number}.png", "text": "a", "mood": "x", "score": 3} for number in range(2)]
    found, _ = flattened(tmp_path, metadata_jsonl=lines(*rows))
    assert found["metadata.jsonl"].endswith("captions from text; columns not understood: mood, score")
    nothing = [{"file_name": f"{number}.png", "mood": 1, "score": 2} for number in range(2)]
    found, texts = flattened(tmp_path / "b", metadata_jsonl=lines(*nothing))
    assert found["metadata.jsonl"].startswith("metadata not used: no column that is known") and not texts
    assert "mood, score" in found["metadata.jsonl"]


def test_csv_and_parquet_are_read_like_lines(tmp_path):
    found, texts = flattened(tmp_path, metadata_csv="FILE_NAME,Prompt\n0.png,a\n1.png,b\n")
    assert texts == {"0.png": "a", "1.png": "b"} and "captions from prompt" in found["metadata.csv"]
    table = pyarrow.table({"image_path": ["0.png", "1.png"], "text": ["c", "d"], "data": [b"1", b"2"]})
    stream = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, stream)
    found, texts = flattened(tmp_path / "b", metadata_parquet=stream.getvalue().to_pybytes())
    assert texts == {"0.png": "c", "1.png": "d"}
    found, _ = flattened(tmp_path / "c", metadata_parquet=b"PAR1 no table")
    assert found["metadata.parquet"].startswith("metadata not used: not a table")


def test_half_a_character_is_a_reason_and_the_other_lines_are_used(tmp_path):
    good, bad = json.dumps({"file_name": "1.png", "text": "b"}), '{"file_name": "0.png", "text": "x \\ud800"}'
    found, texts = flattened(tmp_path, metadata_jsonl=f"{bad}\n{good}\n")
    assert texts == {"1.png": "b"} and "line 1: not JSON: a text holds half a character" in found["metadata.jsonl"]
    found, texts = flattened(tmp_path / "b", **{"0_json": '{"caption": "x \\udc00"}'})
    assert found["0.json"] == "json not used: a text holds half a character (a lone surrogate)" and not texts
    assert parsed('["\\ud83d\\ude00"]') == ["😀"], "a whole pair is one character"


def test_a_repeat_that_no_run_could_show_is_refused(tmp_path):
    found, _ = flattened(tmp_path, **{"0_json": '{"repeats": 1e300}'})
    assert "repeats 1e+300 is not a number above 0, of at most 1,000,000" in found["0.json"]
    assert [positive(value) for value in (1e300, "1e7", 10**400, 2, "0.5")] == [None, None, None, 2.0, 0.5]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.lists(st.dictionaries(st.sampled_from(["file_name", "Text", "tags", "x", "image", "repeats"]), JSON), max_size=4)
)
def test_any_rows_are_read_or_refused_with_words(tmp_path_factory, rows):
    file = tmp_path_factory.getbasetemp() / "rows.jsonl"
    file.write_text(lines(*rows), encoding="utf-8")
    table = read_table(str(file), "rows.jsonl")
    assert len(table.rows) + len(table.problems) == len(rows)
    assert columns_of(map(lowered, rows)).used.keys() <= {"text", "tags", "repeats", "x"}
    assert all(
        name_of(lowered(row)) is not None for row in rows if isinstance(row.get("file_name"), str) and row["file_name"]
    )


@given(st.lists(st.text(max_size=20)))
def test_a_list_becomes_a_caption_without_losing_a_word(texts):
    assert joined(texts).replace(",", " ").split() == " ".join(texts).replace(",", " ").split()


def test_an_unknown_parquet_reader_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "m.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="pip install pyarrow"):
        read_table(str(tmp_path / "m.parquet"), "m.parquet")
