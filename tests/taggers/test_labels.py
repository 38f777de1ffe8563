from __future__ import annotations

from pathlib import Path

import pytest

from taggers.errors import TaggerError
from taggers.labels import read_labels, spoken

KAOMOJI = (
    "0_0",
    "(o)_(o)",
    "+_+",
    "+_-",
    "._.",
    "<o>_<o>",
    "<|>_<|>",
    "=_=",
    ">_<",
    "3_3",
    "6_9",
    ">_o",
    "@_@",
    "^_^",
    "o_o",
    "u_u",
    "x_x",
    "|_|",
    "||_||",
)


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "selected_tags.csv"
    file.write_bytes(text.encode())
    return file


@pytest.mark.parametrize("name", KAOMOJI)
def test_a_kaomoji_is_a_drawing_and_keeps_its_underscore(name: str) -> None:
    assert spoken(name) == name


@pytest.mark.parametrize(
    ("name", "caption"),
    [
        ("long_hair", "long hair"),
        ('don\'t_say_"lazy"', 'don\'t say "lazy"'),
        ("\\m/", "\\m/"),
        ("v", "v"),
        ("saber_(fate)", "saber (fate)"),
        ("x-ray", "x-ray"),
        (":d", ":d"),
        ("1girl", "1girl"),
    ],
)
def test_other_names_are_written_with_spaces(name: str, caption: str) -> None:
    assert spoken(name) == caption


def test_rows_are_read_in_order_with_quotes_floats_blank_lines_and_names_that_look_like_nothing(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "\ufefftag_id,name,category,count\r\n9999999.0,general,9,1e3\r\n\r\n"
        '1,"don\'t_say_""lazy""",3,5\r\n'
        "2,null,0,5\r\n3,nan,0.0,5\r\n4,zebra,0,1\r\n5,apple,4,1\r\n6,some_artist,1,1\r\n7,highres,5,1\r\n",
    )
    labels = read_labels(file)
    assert [label.name for label in labels] == [
        "general",
        'don\'t say "lazy"',
        "null",
        "nan",
        "zebra",
        "apple",
        "some artist",
        "highres",
    ]
    assert [label.category for label in labels] == [
        "rating",
        "copyright",
        "general",
        "general",
        "general",
        "character",
        "artist",
        "meta",
    ]


def test_a_list_of_lines_is_all_general(tmp_path: Path) -> None:
    assert [(each.name, each.category) for each in read_labels(write(tmp_path, "1girl\n\nlong_hair\n"), "lines")] == [
        ("1girl", "general"),
        ("long hair", "general"),
    ]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("1,a,7,1", "line 2: category '7' is not one of 0 general, 1 artist"),
        ("1,a,x,1", "category 'x'"),
        ('1,"a,b",0,1', "line 2: 'a,b' cannot be a tag, captions separate tags by commas"),
        ('1,"a\nb",0,1', r"'a\\nb' cannot be a tag"),
        ("1,,0,1", "'' cannot be a tag"),
        ("1,a,0", "line 2: 3 columns, the header has 4"),
        ("", "holds no labels"),
    ],
)
def test_a_row_that_cannot_be_a_label_is_refused_with_its_line(tmp_path: Path, rows: str, words: str) -> None:
    with pytest.raises(TaggerError, match=words):
        read_labels(write(tmp_path, f"tag_id,name,category,count\n{rows}\n"))


def test_a_file_of_another_kind_is_refused_with_its_columns(tmp_path: Path) -> None:
    with pytest.raises(TaggerError, match="has the columns a, b; name and category are needed"):
        read_labels(write(tmp_path, "a,b\n1,2\n"))
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TaggerError, match="cannot be read"):
        read_labels(tmp_path / "bytes.csv")
