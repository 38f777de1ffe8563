"""What a board knows of tags, in captions: what is needless, which level is kept, names, and what is joined."""

from __future__ import annotations

from pathlib import Path

import pytest
from scored_sets import SOLO, Build, caption, rows, run

from pipeline.core.errors import PrepError

HATS = {**SOLO, "witch hat": 0.9, "hat": 0.8, "katana": 0.9, "sword": 0.8, "weapon": 0.7}


def test_a_class_keeps_the_level_that_is_asked_for(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": HATS})
    run(manifest)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, solo, katana, witch hat"
    run(manifest, levels={"hat": "both", "weapon": "general"})
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, solo, weapon, witch hat, hat"
    assert rows(manifest, "fanart~Lumi/a")["katana"] == (
        "renamed",
        "to weapon: only the general tag is kept, as asked",
    )


def test_with_two_people_only_what_holds_of_the_whole_image_goes(build: Build) -> None:
    tags = {"2girls": 0.99, "multiple girls": 0.9, "witch hat": 0.9, "hat": 0.8, "cloudy sky": 0.7, "sky": 0.6}
    manifest = build({"fanart/Lumi/a": tags})
    run(manifest)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 2girls, witch hat, hat, cloudy sky"


def test_another_boards_table_takes_the_place_and_its_change_makes_the_stage_stale(
    build: Build, tmp_path: Path
) -> None:
    manifest = build({"fanart/Lumi/a": {**SOLO, "red panda": 0.9, "ailurid": 0.8, "4koma": 0.7, "comic": 0.6}})
    file = tmp_path / "e621.csv"
    file.write_text("antecedent_name,consequent_name,status\nred_panda,ailurid,active\n", encoding="utf-8")
    run(manifest, implications=file)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, solo, red panda, 4koma, comic"
    row = next(row for row in manifest.decisions("tags")["images/fanart~Lumi/a.png"].value if row.tag == "ailurid")
    assert row.data == {"by": "red panda", "steps": [["ailurid", "board"]], "board": "e621.csv"}
    assert run(manifest, implications=file).fresh
    file.write_text("antecedent_name,consequent_name,status\n4koma,comic,active\n", encoding="utf-8")
    assert not run(manifest, implications=file).fresh
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, solo, red panda, ailurid, 4koma"
    with pytest.raises(PrepError, match=r"none\.csv cannot be read"):
        run(manifest, implications=tmp_path / "none.csv")
    with pytest.raises(PrepError, match="levels and implications do nothing where nothing is consolidated"):
        run(manifest, implications=file, consolidate=False)


def test_tags_about_the_file_are_left_out_whoever_gave_them_unless_asked_for(build: Build) -> None:
    manifest = build(
        {"fanart/Lumi/a": {**SOLO, "highres": 0.9, "bangs": 0.8, "translation_request": 0.7, "smile": 0.6}}
    )
    run(manifest)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, solo, smile"
    found = rows(manifest, "fanart~Lumi/a")
    assert found["highres"] == ("dropped", "meta tags are excluded")
    assert found["bangs"] == ("dropped", "deprecated tags are excluded")
    run(manifest, meta="keep")
    assert "highres" in caption(manifest, "fanart~Lumi/a") and "bangs" in caption(manifest, "fanart~Lumi/a")


def test_what_is_joined_exists_on_the_board_unless_any_is_asked_for(build: Build) -> None:
    tags = {**SOLO, "sweater vest": 0.9, "blue vest": 0.8, "collared shirt": 0.7, "white shirt": 0.6}
    manifest = build({"fanart/Lumi/a": tags})
    run(manifest)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, solo, blue sweater vest, collared shirt, white shirt"
    run(manifest, compose="free")
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, solo, blue sweater vest, white collared shirt"


def test_the_colour_of_what_a_trigger_word_says_goes_with_it(build: Build) -> None:
    tags = {**SOLO, "hair ribbon": 0.9, "red ribbon": 0.8, "smile": 0.7}
    manifest = build({"fanart/Lumi/a": tags})
    run(manifest)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, solo, hair ribbon, red ribbon, smile"
    run(manifest, prune_tags={"Lumi": "hair ribbon"})
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, solo, smile"
    assert rows(manifest, "fanart~Lumi/a")["red ribbon"] == (
        "dropped",
        "the colour of hair ribbon, which its trigger word says",
    )
