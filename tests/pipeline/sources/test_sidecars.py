import json

import pytest
from painted_sets import painted, run_flatten, save

from pipeline.sources.beside import metadata_files
from pipeline.sources.beside.booru import booru_tags
from pipeline.sources.beside.metadata_files import ImageTable, positive, read_table
from pipeline.store.manifest import Manifest
from pipeline.store.records import Tagger
from pipeline.store.wording import figures, phrase

PATH = "images/Lumi/a.png"


@pytest.fixture
def src(tmp_path):
    for number, name in enumerate(("Lumi/a.png", "Lumi/b.png", "Quill/a.png")):
        save(painted(number, 0.3), tmp_path / "src" / name)
    return tmp_path / "src"


@pytest.fixture
def manifest(tmp_path):
    with Manifest.open(tmp_path / "set", create=True) as opened:
        yield opened


def rows(manifest, src):
    start = str(src) + "/"
    found = manifest.decisions("imported")
    return {
        path.removeprefix(start): (phrase(row), figures(row)) for path, row in found.items() if "png" not in path[-4:]
    }


# --- captions


def test_txt_goes_before_caption_and_what_is_set_aside_says_so(src, manifest):
    (src / "Lumi/a.txt").write_text("first")
    (src / "Lumi/a.caption").write_text("other")
    (src / "Lumi/a.png.txt").write_text("first ")
    (src / "Lumi/b.caption").write_text("only one")
    run_flatten(manifest, src)
    assert manifest.manual_captions() == {PATH: "first", "images/Lumi/b.png": "only one"}
    assert rows(manifest, src) == {
        "Lumi/a.txt": ("caption imported", ""),
        "Lumi/a.caption": ("excluded for another caption file", "a.txt"),
        "Lumi/a.png.txt": ("same as another caption file", "a.txt"),
        "Lumi/b.caption": ("caption imported", ""),
    }


def test_a_caption_named_after_the_whole_file_and_one_in_another_case_find_their_images(src, manifest):
    (src / "Lumi/a.png.txt").write_text("whole name")
    (src / "Lumi/B.TXT").write_text("other case")
    run_flatten(manifest, src)
    assert manifest.manual_captions() == {PATH: "whole name", "images/Lumi/b.png": "other case"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xfea\0", "caption is not UTF-8"),
        (b"", "caption is empty"),
        (b"x" * (2**20 + 1), "caption is larger than 1 MiB"),
    ],
)
def test_where_the_first_caption_cannot_be_taken_the_next_one_is(src, manifest, content, reason):
    (src / "Lumi/a.txt").write_bytes(content)
    (src / "Lumi/a.caption").write_text("good")
    run_flatten(manifest, src)
    assert manifest.manual_captions() == {PATH: "good"}
    assert rows(manifest, src)["Lumi/a.txt"][0] == reason


# --- tags of image boards

DANBOORU = {
    "category": "danbooru",
    "tag_string": "1girl cat_ears lumi_(x) >_<",
    "tag_string_general": "1girl cat_ears >_<",
    "tag_string_character": "lumi_(x)",
    "tag_string_artist": "alder",
    "rating": "s",
    "caption": "<p>not a caption</p>",
}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            DANBOORU,
            {
                "1girl": "general",
                "cat ears": "general",
                ">_<": "general",
                "lumi (x)": "character",
                "alder": "artist",
                "sensitive": "rating",
            },
        ),
        ({"tags": "1girl long_hair", "rating": "s"}, {"1girl": "general", "long hair": "general", "general": "rating"}),
        ({"tags": ["1girl", " long hair "]}, {"1girl": "general", "long hair": "general"}),
        ({"tags": "1girl, long hair"}, {"1girl": "general", "long hair": "general"}),
        (
            {"tags": {"general": ["wolf"], "species": ["canine"], "lore": ["old"], "artist": ["elm"]}, "rating": "e"},
            {"wolf": "general", "canine": "general", "old": "meta", "elm": "artist", "explicit": "rating"},
        ),
        (
            {"tags_general": ["a1"], "tags_copyright": "world", "tags": "a1 world"},
            {"a1": "general", "world": "copyright"},
        ),
        ({"id": 1, "rating": 5}, {}),
        ({"tags": ["x" * 300, "bad\x07tag", "has,comma", "two\n words"]}, {"two words": "general"}),
    ],
)
def test_tags_are_read_as_boards_write_them_and_spelled_as_captions_do(document, expected):
    assert booru_tags(document) == expected


@pytest.mark.parametrize("tags", [5, [1, 2], {"general": 3}, [["a"]]])
def test_tags_of_another_type_are_an_error(tags):
    with pytest.raises(ValueError, match="neither a text nor a list of texts"):
        booru_tags({"tags": tags})


def test_tags_beside_images_become_scores_that_never_go_before_a_taggers(src, manifest):
    (src / "Lumi/a.png.json").write_text(json.dumps(DANBOORU))
    (src / "Lumi/b.json").write_text('{"tags": "1girl"}')
    (src / "Quill/a.json").write_text("{broken")
    run_flatten(manifest, src)
    (tagger,) = manifest.taggers().values()
    assert tagger.id == "booru@sidecar/none" and tagger.categories["lumi (x)"] == "character"
    scores = {path: manifest.scores(tagger.id).get(content) for path, content in contents(manifest).items()}
    assert scores["images/Lumi/b.png"] == {"1girl": 1.0} and scores["images/Quill/a.png"] is None
    assert scores[PATH]["cat ears"] == 1.0 and manifest.manual_captions() == {}
    found = rows(manifest, src)
    assert found["Lumi/a.png.json"] == ("tags imported", "6 tags") and found["Quill/a.json"][0] == "json not used"
    with manifest.transaction():
        manifest.put_tagger(Tagger("wd", "1", "v1", "CPU", {"1girl": "general"}))
    (src / "Quill/a.json").write_text('{"tags": "new_tag"}')
    run_flatten(manifest, src)
    assert [each.name for each in manifest.taggers().values()] == ["booru", "wd"]
    assert "new tag" in manifest.taggers()[tagger.id].categories


def contents(manifest):
    return {image.path: image.content for image in manifest.images()}


# --- tables


def test_kohya_metadata_is_a_caption_with_its_tags_unless_the_image_has_a_file_of_its_own(src, manifest):
    document = {
        "C:\\train\\Lumi\\a.png": {"caption": "a witch", "tags": "lumi, hat"},
        "b": {"tags": "lumi, smile", "train_resolution": [512, 512]},
        "/elsewhere/Quill/a.png": {"caption": "from the table"},
        "nobody": {"caption": "x"},
    }
    (src / "meta_lat.json").write_text(json.dumps(document))
    (src / "Quill/a.txt").write_text("own file")
    run_flatten(manifest, src)
    assert manifest.manual_captions() == {
        PATH: "a witch, lumi, hat",
        "images/Lumi/b.png": "lumi, smile",
        "images/Quill/a.png": "own file",
    }
    assert rows(manifest, src)["meta_lat.json"] == (
        "metadata imported",
        "3 of 4 entries name an image; captions from caption",
    )


@pytest.mark.parametrize("name", ["metadata.jsonl", "metadata.csv"])
def test_imagefolder_metadata_brings_captions_concepts_and_repeats(src, manifest, name):
    (src / "multiply.txt").write_text("3")
    (src / "Quill/multiply.txt").write_text("3")
    if name.endswith("csv"):
        text = 'file_name,text,concept,repeats\nLumi/a.png,"lumi, hat",,\nQuill/a.png,quill,artists/fan,2.5\n'
    else:
        text = '{"file_name": "Lumi/a.png", "text": "lumi, hat"}\n\n'
        text += '{"file_name": "Quill/a.png", "text": "quill", "concept": "artists/fan", "repeats": 2.5}\n'
    (src / name).write_text(text)
    run_flatten(manifest, src)
    path = "images/artists~fan/a.png"
    assert manifest.manual_captions() == {PATH: "lumi, hat", path: "quill"}
    assert {image.path: image.concept for image in manifest.images()}[path] == "artists/fan"
    row = manifest.decisions("user_repeats")[path]
    assert (row.value, phrase(row)) == (2.5, "repeats in metadata")
    assert figures(row) == f"{name} line {3}, before multiply.txt 3"
    assert rows(manifest, src)["multiply.txt"][0] == "multiply.txt without images"


def test_lines_that_are_wrong_are_reported_and_the_others_used(src, manifest):
    lines = [
        '{"file_name": "Lumi/a.png", "text": "good"}',
        "{broken",
        '{"file_name": "Lumi/b.png", "text": 5}',
        '{"text": "no name"}',
        '{"file_name": "Quill/a.png", "concept": "../up"}',
        '{"file_name": "Quill/a.png", "repeats": 0}',
    ]
    (src / "metadata.jsonl").write_text("\n".join(lines))
    run_flatten(manifest, src)
    assert manifest.manual_captions() == {PATH: "good"}
    reason, evidence = rows(manifest, src)["metadata.jsonl"]
    assert reason == "metadata imported"
    assert evidence.startswith("1 of 6 entries name an image; captions from text; wrong: 5, such as line 2: not JSON")
    table = read_table(str(src / "metadata.jsonl"), "metadata.jsonl")
    assert [problem.partition(": ")[2] for problem in table.problems[1:]] == [
        "caption is neither a text nor a list of texts",
        "no file_name",
        "concept '../up' is not a path such as characters/fanart/Mihari",
        "repeats 0 is not a number above 0, of at most 1,000,000",
    ]


@pytest.mark.parametrize(
    ("name", "text", "evidence"),
    [
        ("meta.json", "[" * 100_000, "not JSON: nested too deeply"),
        ("meta.json", '{"a": 1}', "json of no known kind"),
        ("meta.json", "{", "not JSON: Expecting property name"),
        ("list.csv", "name,text\na,b\n", "csv without a column file_name"),
        ("list.csv", 'file_name,text\na.png,"open\n', "not a table: "),
    ],
)
def test_a_table_that_is_none_is_a_row_with_the_reason(src, manifest, name, text, evidence):
    (src / name).write_text(text)
    run_flatten(manifest, src)
    reason, why = rows(manifest, src)[name]
    assert reason == "metadata not used" and why.startswith(evidence)


def test_a_table_that_is_too_large_is_not_read(src, manifest, monkeypatch):
    monkeypatch.setattr(metadata_files, "LARGEST_BYTES", 2**20)
    for name in ("meta.json", "meta.jsonl", "meta.csv"):
        with (src / name).open("wb") as stream:
            stream.truncate(2**20 + 1)
    run_flatten(manifest, src)
    assert set(rows(manifest, src).values()) == {("metadata not used", "larger than 1 MiB")}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x/a.png", "/s/x/a.png"),
        ("x/a", "/s/x/a.png"),
        ("b.png", "/s/x/b.png"),
        ("./y/a.png", "/s/y/a.png"),
        ("D:/elsewhere/y/a.png", "/s/y/a.png"),
        ("/elsewhere/z/a.png", None),
        ("a.png", None),
        ("z/a.png", None),
        ("../s/x/a.png", None),
        ("", None),
    ],
)
def test_a_table_names_one_image_or_none(name, expected):
    assert ImageTable(["/s/x/a.png", "/s/x/b.png", "/s/y/a.png"]).find(name, "/s/meta.json") == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("2", 2.0), (0.5, 0.5), (True, None), ("inf", None), ([], None), ("1e999", None)]
)
def test_a_number_above_0_is_finite_and_no_truth_value(value, expected):
    assert positive(value) == expected
