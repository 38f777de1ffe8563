from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from taggers.errors import TaggerError
from taggers.spec import BUILT_IN, DEFAULT, find_spec, published_thresholds

Make = Callable[..., Path]


def test_every_hub_model_is_pinned_and_has_its_own_threshold() -> None:
    for spec in BUILT_IN.values():
        if spec.repo:
            assert re.fullmatch("[0-9a-f]{40}|v2.0", spec.revision)
            assert 0.25 < spec.thresholds["general"] < 0.54
    assert BUILT_IN[DEFAULT].thresholds["general"] == 0.2653
    assert published_thresholds("wd-eva02-large-v3") == {"general": 0.5296, "character": 0.85}
    assert published_thresholds("my-own") is None


def test_a_model_is_found_by_name_and_by_repository() -> None:
    assert find_spec("SmilingWolf/wd-vit-tagger-v3") is find_spec("wd-vit-v3")


def test_an_unknown_model_is_refused_with_what_to_type() -> None:
    with pytest.raises(TaggerError) as caught:
        find_spec("wd-swinv2-tagger-v3")
    assert caught.value.message == "no tagger called 'wd-swinv2-tagger-v3', and no folder of that name"
    assert caught.value.hint.startswith("did you mean wd-swinv2-v3? known: wd-swinv2-v3, wd-vit-v3")
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
        ("colour = 1", "colour = 1: expected one of these keys: label_kind, layout"),
        ("model = '../../secret.onnx'", "model = '../../secret.onnx': expected the name of a file in the same folder"),
        ("labels = '..'", "expected the name of a file in the same folder"),
        ("std = [0, 1, 1]", "expected three numbers, in RGB order, above 0"),
        ("pad = [300, 0, 0]", "expected three whole numbers 0 to 255 in RGB order, or false to stretch"),
        ("pad = true", "or false to stretch"),
        ("side = 4", "side = 4: expected pixels, 16 to 4096"),
        ("scale = true", "expected a number above 0"),
        ("scale = [", "cannot be read"),
    ],
)
def test_a_model_toml_is_strict(tiny: Make, line: str, words: str) -> None:
    folder = tiny()
    (folder / "model.toml").write_text(line, encoding="utf-8")
    with pytest.raises(TaggerError) as caught:
        find_spec(str(folder))
    assert words in caught.value.message
