from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taggers.errors import TaggerError
from taggers.labels import Label, normalized, read_labels

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


HOSTILE = (
    *KAOMOJI,
    "null",
    "nan",
    "NaN",
    "None",
    "true",
    "\\m/",
    "\\o/",
    "\\||/",
    "'--",
    "=1+1",
    "</script>",
    '"',
    ";)",
)


def write(tmp_path: Path, text: str, name: str = "selected_tags.csv") -> Path:
    file = tmp_path / name
    file.write_bytes(text.encode())
    return file


@pytest.mark.parametrize("name", KAOMOJI)
def test_a_kaomoji_is_a_drawing_and_keeps_its_underscore(name: str) -> None:
    assert normalized(name) == name


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
    assert normalized(name) == caption


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
        ("1,a,7,1", "line 2: category '7' is not one of 0 general, 1 artist, .*10 year, quality, model"),
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


def test_more_than_ten_thousand_labels_with_hostile_names_keep_their_places(tmp_path: Path) -> None:
    names = [*HOSTILE, *(f"tag_{number}" for number in range(10861 - len(HOSTILE)))]
    text = io.StringIO()
    csv.writer(text).writerows(
        [("tag_id", "name", "category", "count"), *((n, name, 0, 1) for n, name in enumerate(names))]
    )
    labels = read_labels(write(tmp_path, text.getvalue()))
    assert [label.name for label in labels] == [normalized(name) for name in names] and len(labels) == 10861
    assert [label.name for label in labels[: len(KAOMOJI)]] == list(KAOMOJI)


@settings(max_examples=60)
@given(
    st.lists(
        st.text(
            st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp", "Zs"), exclude_characters=","),
            min_size=1,
            max_size=9,
        ),
        min_size=1,
        max_size=9,
    )
)
def test_any_name_that_a_caption_could_hold_is_read_back_from_csv_and_json(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    folder, text = tmp_path_factory.mktemp("labels"), io.StringIO()
    csv.writer(text).writerows([("name", "category"), *((name, "general") for name in names)])
    expected = tuple(Label(normalized(name), "general") for name in names)
    assert read_labels(write(folder, text.getvalue())) == expected
    mapping = {str(place): {"tag": name, "category": "General"} for place, name in enumerate(names)}
    assert read_labels(write(folder, json.dumps(mapping), "map.json"), "json") == expected


def test_ratings_lose_their_prefix_and_every_category_has_a_number_or_a_name(tmp_path: Path) -> None:
    labels = read_labels(write(tmp_path, "name,category\nrating:safe,9\nrating_general,rating\ny,10\nz,Quality\n"))
    assert [(label.name, label.category) for label in labels] == [
        ("safe", "rating"),
        ("general", "rating"),
        ("y", "year"),
        ("z", "quality"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "does not map outputs to names and categories"),
        ("{", "does not map outputs to names and categories: JSONDecodeError"),
        ('{"a": {"tag": "x", "category": "General"}}', "does not map outputs"),
        ('{"0": {"tag": "x"}}', "does not map outputs to names and categories: KeyError: 'category'"),
        ('{"-1": {"tag": "x", "category": "General"}}', "names the outputs -1 to -1"),
        ('{"99999999": {"tag": "x", "category": "General"}}', "names the outputs 99999999 to 99999999"),
        ('{"0": {"tag": 7, "category": "General"}}', "output 0: 7 is no name"),
        ('{"0": {"tag": "a, b", "category": "General"}}', "output 0: 'a, b' cannot be a tag"),
        ('{"0": {"tag": "x", "category": "Unknown"}}', "output 0: category 'Unknown' is not one of"),
        ("{}", "holds no labels"),
        ("[" * 100_000, "does not map outputs to names and categories: RecursionError"),
    ],
)
def test_a_json_mapping_that_makes_no_sense_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(TaggerError, match=words):
        read_labels(write(tmp_path, text, "map.json"), "json")


def test_a_threshold_of_a_tag_is_a_probability(tmp_path: Path) -> None:
    file = write(tmp_path, "name,category,best_threshold\na,0,0.31\nb,0,\n")
    assert [label.threshold for label in read_labels(file)] == [0.31, None]
    for bad in ("2", "nan", "x"):
        with pytest.raises(TaggerError, match=f"line 2: best_threshold is '{bad}', not a number from 0 to 1"):
            read_labels(write(tmp_path, f"name,category,best_threshold\na,0,{bad}\n"))
