from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from taggers.errors import TaggerError
from taggers.registry import BUILT_IN, DEFAULT, find_spec, published_thresholds

Make = Callable[..., Path]


def test_every_wd_model_is_pinned_with_checksums_and_has_its_own_threshold() -> None:
    for spec in BUILT_IN.values():
        if spec.name.startswith("wd-"):
            assert re.fullmatch("[0-9a-f]{40}", spec.revision)
            assert spec.checksums.keys() == {"model.onnx", "selected_tags.csv"}
            assert 0.25 < spec.thresholds["general"] < 0.54


def test_every_hub_model_is_at_a_commit_or_says_that_it_is_resolved_and_checksums_are_whole() -> None:
    for spec in BUILT_IN.values():
        assert re.fullmatch("([0-9a-f]{40})?", spec.revision)
        assert all(re.fullmatch("[0-9a-f]{64}", checksum) for checksum in spec.checksums.values())
        assert spec.checksums.keys() <= {spec.model, spec.labels}
    assert [spec.name for spec in BUILT_IN.values() if spec.repo and not spec.revision] == ["deepdanbooru"]


def test_known_thresholds_are_the_published_ones() -> None:
    assert BUILT_IN[DEFAULT].thresholds["general"] == 0.2653
    assert published_thresholds("wd-eva02-large-v3") == {"general": 0.5296, "character": 0.85}
    assert published_thresholds("my-own") is None


def test_a_model_is_found_by_name_and_by_repository() -> None:
    assert find_spec("SmilingWolf/wd-vit-tagger-v3") is find_spec("wd-vit-v3")


def test_any_backbone_of_a_family_is_found_by_its_repository() -> None:
    spec = find_spec("animetimm/resnet34.dbv4-full")
    assert (spec.name, spec.revision, spec.preprocess) == ("animetimm-resnet34-dbv4-full", "", "preprocess.json")
    assert find_spec("animetimm/caformer_b36.dbv4-full").revision.startswith("aac0699c")


def test_another_revision_is_named_after_an_at_sign_and_has_no_checksum_to_fit() -> None:
    spec = find_spec("wd-vit-v3@main")
    assert (spec.name, spec.revision, spec.checksums) == ("wd-vit-v3", "main", {})
    assert find_spec(f"wd-vit-v3@{BUILT_IN['wd-vit-v3'].revision}") is BUILT_IN["wd-vit-v3"]
    with pytest.raises(TaggerError, match="no tagger called 'miniature@main'"):
        find_spec("miniature@main")


def test_an_unknown_model_is_refused_with_what_to_type() -> None:
    with pytest.raises(TaggerError) as caught:
        find_spec("wd-swinv2-tagger-v3")
    assert caught.value.message == "no tagger called 'wd-swinv2-tagger-v3', and no folder of that name"
    assert caught.value.hint.startswith(
        "did you mean wd-swinv2-v3, wd-swinv2-v2 or wd-vit-v3? known: wd-swinv2-v3, wd-vit-v3"
    )
    with pytest.raises(TaggerError, match="no tagger called 'no/such'"):
        find_spec("no/such")


def test_a_folder_takes_what_its_model_toml_says(tiny: Make) -> None:
    folder = tiny()
    (folder / "model.toml").write_text(
        'layout = "NCHW"\nmean = [0.5, 0.5, 0.5]\npad = [1, 2, 3]\noutput = "out"\n', encoding="utf-8"
    )
    spec = find_spec(str(folder))
    assert (spec.name, spec.layout, spec.mean, spec.pad, spec.output, spec.declared) == (
        "tiny",
        "NCHW",
        (0.5, 0.5, 0.5),
        (1, 2, 3),
        "out",
        True,
    )
    assert spec.preprocessing == "pad-010203-bicubic-1"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("layout = 'HWC'", "layout = 'HWC': expected one of NHWC, NCHW"),
        ("colour = 1", "colour = 1: expected one of these keys: like, label_kind, layout"),
        ("model = '../../secret.onnx'", "model = '../../secret.onnx': expected the name of a file in the same folder"),
        ("labels = '..'", "expected the name of a file in the same folder"),
        ("std = [0, 1, 1]", "expected three numbers, in RGB order, above 0"),
        ("pad = [300, 0, 0]", "expected three whole numbers 0 to 255 in RGB order, or false to stretch"),
        ("pad = true", "or false to stretch"),
        ("side = 4", "side = 4: expected pixels, 16 to 4096"),
        ("scale = true", "expected a number above 0"),
        ("scale = [", "cannot be read"),
        ("like = 'wd'", "like = 'wd': expected the name of a built-in tagger: wd-swinv2-v3, wd-vit-v3"),
        ("preprocess = 'C:x'", "expected the name of a file in the same folder"),
        ("thresholds = { general = 2 }", "expected categories with a number from 0 to 1 each"),
        ("exclusive = 'rating'", 'expected a list of categories, such as ["rating"]'),
        ("canvas = 5", "expected pixels, 16 to 4096, or 0 to pad at the image's own size"),
    ],
)
def test_a_model_toml_is_strict(tiny: Make, line: str, words: str) -> None:
    folder = tiny()
    (folder / "model.toml").write_text(line, encoding="utf-8")
    with pytest.raises(TaggerError) as caught:
        find_spec(str(folder))
    assert words in caught.value.message


def test_a_folder_that_is_like_a_known_tagger_takes_its_contract_and_what_it_changes(tiny: Make) -> None:
    folder = tiny()
    (folder / "model.toml").write_text(
        'like = "camie-v2"\nside = 448\nthresholds = { general = 0.6 }\nexclusive = ["rating"]\n', encoding="utf-8"
    )
    spec = find_spec(str(folder))
    assert (spec.name, spec.repo, spec.revision, spec.checksums) == ("tiny", "", "", {})
    assert (spec.model, spec.labels) == ("camie-tagger-v2.onnx", "camie-tagger-v2-metadata.json")
    assert (spec.pad, spec.canvas, spec.side, spec.thresholds, spec.exclusive) == (
        (124, 116, 104),
        512,
        448,
        {"general": 0.6},
        ("rating",),
    )
    assert spec.preprocessing == "pad-7c7468-lanczos-512-bicubic-1"


def test_all_that_is_wrong_with_a_model_toml_is_said_at_once(tiny: Make) -> None:
    folder = tiny()
    (folder / "model.toml").write_text('layout = "HWC"\nside = 4\n', encoding="utf-8")
    with pytest.raises(TaggerError) as caught:
        find_spec(str(folder))
    assert len(caught.value.message.splitlines()) == 2
