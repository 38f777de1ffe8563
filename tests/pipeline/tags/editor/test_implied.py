"""`prep tags implied` tells what keeping exact or general tags would do, before it is chosen."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner
from edited_sets import ONE, put_set
from painted_sets import quiet

from pipeline.cli.commands.tags.group import command
from pipeline.stages import curate
from pipeline.store.running.runner import run_stage

IMAGES = {
    "people/Lumi/a": {**ONE, "witch hat": 0.9, "hat": 0.8},
    "people/Lumi/b": {**ONE, "beret": 0.9},
    "people/Lumi/c": {**ONE, "hat": 0.9},
    "people/Lumi/d": {"2girls": 0.9, "multiple girls": 0.8, "witch hat": 0.9, "hat": 0.8},
}


def test_every_class_is_counted_at_each_level(tmp_path: Path) -> None:
    manifest = put_set(tmp_path / "set", IMAGES)
    wanted = {"class": "hat", "specific": 2, "both": 3, "general": 4, "exact": "witch hat 2, beret 1"}
    for levels in ({}, {"hat": "general"}, {"hat": "both"}):
        run_stage(manifest, curate.STAGE, curate.Options(prune="none", general=0.5, levels=levels), quiet)
        said = CliRunner().invoke(command, ["implied", str(manifest.root), "--json"])
        found = {row["class"]: row for row in json.loads(said.stdout)["rows"]}
        assert found["multiple girls"] == {
            "class": "multiple girls",
            "specific": 0,
            "both": 1,
            "general": 1,
            "exact": "2girls 1",
        }
        if not levels or levels["hat"] == "both":
            assert found["hat"] == wanted, "c has no exact tag, and d shows two people"
    manifest.close()


def test_it_says_how_to_choose_and_reads_another_table(tmp_path: Path) -> None:
    manifest = put_set(tmp_path / "set", IMAGES)
    run_stage(manifest, curate.STAGE, curate.Options(prune="none", general=0.5), quiet)
    manifest.close()
    said = CliRunner().invoke(command, ["implied", str(manifest.root)])
    assert f"choose with: prep curate {manifest.root} --levels hat=both" in " ".join(said.output.split())
    file = tmp_path / "board.csv"
    file.write_text("tag,implies\nberet,round_thing\n", encoding="utf-8")
    said = CliRunner().invoke(command, ["implied", str(manifest.root), "--implications", str(file), "--json"])
    assert {"round thing", "hat"} == {row["class"] for row in json.loads(said.stdout)["rows"]}, (
        "hats by their last word"
    )
