import json

import pytest

from train.evaluation.tag_recall import RecallPrompt, averages, shown, tags_found
from train.miniature.painter import paint
from train.miniature.scenes import CHARACTERS, KNOWN_CHARACTERS, Scene


def test_wanted_tags_are_found_when_they_reach_the_threshold():
    assert tags_found({"hat": 0.9, "smile": 0.49, "red eyes": 0.5}, ("hat", "smile", "red eyes", "crown"), 0.5) == {
        "hat",
        "red eyes",
    }


def test_samples_are_held_against_what_was_asked(tmp_path):
    lumi, mira = CHARACTERS["Lumi"], KNOWN_CHARACTERS["mira (miniature)"]
    for name, girl in (("adapter", lumi), ("base", mira)):
        paint(Scene((girl,), "day", "portrait", "anime screenshot", (64, 64), 5)).save(tmp_path / f"{name}.png")
    rows = [
        {"prompt": "1girl, Lumi", "seed": 7, "base": "base.png", "adapter": "adapter.png"},
        {"prompt": "something else", "seed": 8, "base": "base.png", "adapter": "adapter.png"},
    ]
    (tmp_path / "samples.json").write_text(json.dumps(rows))
    found = shown(
        tmp_path,
        tmp_path / "samples.json",
        [RecallPrompt("Lumi", "1girl, Lumi", lumi.traits())],
        "miniature",
        0.5,
        "cpu",
    )
    assert [(row.seed, row.found_base, row.found_adapter) for row in found] == [(7, 0.0, 1.0)]
    assert averages(found) == (0.0, pytest.approx(1.0))
