"""What downloaders of image boards write beside images, each in its own way, comes to the same tags and categories."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from painted_sets import painted, quiet, run_flatten, save

from pipeline.sources.beside.booru import booru_tags, is_post
from pipeline.stages import check, curate
from pipeline.store.manifest import Manifest
from pipeline.store.records import Tagger
from pipeline.store.running.runner import run_stage

SAME = {
    "long hair": "general",
    ">_<": "general",
    "mihari (series)": "character",
    "the sea": "copyright",
    "foo bar": "artist",
    "highres": "meta",
}
GROUPS = {
    "general": ["long_hair", ">_<"],
    "character": ["mihari_(series)"],
    "copyright": ["the_sea"],
    "artist": ["foo_bar"],
    "meta": ["highres"],
}
EVERY = [name for names in GROUPS.values() for name in names]
KINDS = {"general": 0, "artist": 1, "copyright": 3, "character": 4, "meta": 9}
DOCUMENTS = {
    "gallery-dl, Danbooru": {"category": "danbooru", "tags": EVERY, **{f"tags_{k}": v for k, v in GROUPS.items()}},
    "Danbooru's API": {
        "id": 1,
        "tag_string": " ".join(EVERY),
        **{f"tag_string_{group}": " ".join(names) for group, names in GROUPS.items()},
    },
    "gallery-dl, Gelbooru": {
        "category": "gelbooru",
        "tags": "long_hair &gt;_&lt;",
        **{f"tags_{k}": " ".join(v) for k, v in GROUPS.items() if k != "general"},
        "tags_metadata": "highres",
    },
    "Gelbooru's API": {
        "@attributes": {"count": 1},
        "post": [{"tags": "long_hair &gt;_&lt;", **{f"tags_{k}": " ".join(v) for k, v in GROUPS.items()}}],
    },
    "gallery-dl, Moebooru": {
        "category": "yandere",
        "tags": " ".join(EVERY),
        "tags_circle": "foo_bar",
        "tags_character": "mihari_(series)",
        "tags_copyright": "the_sea",
        "tags_faults": "highres",
    },
    "e621": {"post": {"tags": {**GROUPS, "species": [], "invalid": ["highres"], "meta": [], "lore": []}}},
    "gallery-dl, e621": {"category": "e621", "tags": GROUPS},
    "Sankaku": {
        "category": "sankaku",
        "tags": [{"name_en": name, "type": KINDS[group]} for group, names in GROUPS.items() for name in names],
    },
    "imgbrd-grabber": {
        "md5": "0" * 32,
        "tags": [{"name": name, "type": group} for group, names in GROUPS.items() for name in names],
    },
    "waifuc": {
        "danbooru": {f"tag_string_{group}": " ".join(names) for group, names in GROUPS.items()},
        "filename": "a.png",
        "tags": {"long_hair": 0.98, ">_<": 0.5},
    },
    "hydrus": {
        "file_id": 7,
        "tags": {
            "all known tags": {
                "display_tags": {
                    "0": [
                        "long hair",
                        ">_<",
                        "character:mihari (series)",
                        "series:the sea",
                        "creator:foo bar",
                        "meta:highres",
                    ]
                }
            }
        },
    },
    "hydrus sidecar": {
        "file_id": 7,
        "tags": [
            "long hair",
            ">_<",
            "character:mihari (series)",
            "series:the sea",
            "creator:foo bar",
            "medium:highres",
        ],
    },
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_downloader_says_the_same(name):
    assert booru_tags(DOCUMENTS[name]) == SAME and is_post(DOCUMENTS[name])


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"category": "danbooru", "tags": ["ab_cd"], "rating": "s"}, {"ab cd": "general", "sensitive": "rating"}),
        ({"category": "yandere", "tags": "ab_cd", "rating": "s"}, {"ab cd": "general", "general": "rating"}),
        ({"category": "pixiv", "tags": ["女の子", "1000users入り"]}, {"女の子": "general", "1000users入り": "meta"}),
        ({"tags": "re:zero, title:x y, :d"}, {"re:zero": "general", "x y": "meta", ":d": "general"}),
        ({"category": "x", "tags": ["bad, tag\n", "x" * 201, "", "good"]}, {"good": "general"}),
        ({"category": "x", "tags": None, "post": [None, 3]}, {}),
    ],
)
def test_ratings_names_and_what_is_no_tag(document, expected):
    assert booru_tags(document) == expected


def test_what_is_written_for_a_trainer_is_no_post():
    assert not is_post({"caption": "a cat", "tags": "x"}) and not is_post({"repeats": 2})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["tags", "0", "name", "type", "post", "x"]), inner)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["tags", "post", "rating", "tag_string", "tags_general", "danbooru"]), JSON))
def test_any_document_gives_tags_or_says_why_not(document):
    try:
        found = booru_tags(document)
    except ValueError as error:
        assert str(error)
    else:
        assert all(tag and "," not in tag and len(tag) <= 200 for tag in found)


def test_tags_of_a_board_come_into_captions_beside_a_taggers_and_meta_tags_never(tmp_path):
    source = tmp_path / "source"
    for number, name in enumerate(("one", "two", "three")):
        save(painted(number, 6), source / f"Lumi/{name}.png")
    (source / "Lumi/one.png.json").write_text(json.dumps(DOCUMENTS["e621"]), encoding="utf-8")
    (source / "Lumi/.two_meta.json").write_text(json.dumps(DOCUMENTS["waifuc"]), encoding="utf-8")
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, source)
    run_stage(manifest, check.STAGE, check.Options(), quiet)
    with manifest.transaction():
        manifest.put_tagger(Tagger("t", "1", "p", "CPU", {"1girl": "general", "hat": "general"}))
        scores = {image.content: {"1girl": 0.9, "hat": 0.1} for image in manifest.images()}
        manifest.put_scores("t@1/p", scores)

    def captions(**options):
        run_stage(manifest, curate.STAGE, curate.Options(prune="none", **options), quiet)
        rows = manifest.decisions("caption")
        return {path.rpartition("/")[2]: row.value for path, row in rows.items()}

    merged = captions()
    for name in ("one.png", "two.png"):
        assert {"long hair", "mihari (series)", "the sea", "1girl", ">_<"} <= set(merged[name].split(", "))
        assert "highres" not in merged[name]
    assert merged["three.png"] == "Lumi, 1girl"
    assert captions(booru="none")["one.png"] == "Lumi, 1girl"
    assert "1girl" not in captions(tagger="booru")["one.png"]
    assert captions(tagger="t")["one.png"] == merged["one.png"], "asked for a tagger, what people gave still holds"
    assert captions(tagger="none")["one.png"] == "Lumi"
    (told,) = [each for each in curate.plan(manifest, curate.Options(tagger="none")).warnings if "booru" in each]
    assert told.startswith("tags of image boards (booru) of 2 images are in no caption, as tagger is none")
    off = curate.plan(manifest, curate.Options(tagger="none", booru="none")).warnings
    assert not any("booru" in each for each in off), "what was asked for is no surprise"
