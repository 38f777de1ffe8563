"""A file of rules, and what a set teaches by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from scored_sets import SOLO, Build, caption, rows, run

from pipeline.core.errors import PrepError


def test_a_file_of_rules_names_bans_and_thresholds_tags_and_a_change_of_it_makes_the_stage_stale(
    build: Build, tmp_path: Path
) -> None:
    manifest = build({"fanart/Lumi/a": {**SOLO, ";)": 0.9, "smile": 0.55, "blue background": 0.9, "nekomimi": 0.9}})
    file = tmp_path / "rules.txt"
    file.write_text("rename: ;) -> wink smile\ndrop: *background*\nthreshold: smile = 0.6\n", encoding="utf-8")
    run(manifest, rules=file)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, solo, cat ears, wink smile"
    found = rows(manifest, "fanart~Lumi/a")
    assert found[";)"] == ("renamed", "to wink smile: rename")
    assert found["blue background"] == ("dropped", "blacklist: *background*")
    assert found["smile"] == ("dropped", "below its threshold: 0.55 < 0.60")
    assert found["nekomimi"] == ("renamed", "to cat ears: another name of it")
    assert run(manifest, rules=file).fresh
    file.write_text("drop: ;)\nthreshold: smile = 0.5\n", encoding="utf-8")
    assert not run(manifest, rules=file).fresh
    assert "smile" in caption(manifest, "fanart~Lumi/a").split(", ")
    run(manifest, rules=file, thresholds={"smile": 0.7})
    assert "smile" not in caption(manifest, "fanart~Lumi/a").split(", "), "options go before the file"


def test_rules_that_cannot_be_read_are_reported_before_anything_is_done(build: Build, tmp_path: Path) -> None:
    manifest = build({"fanart/Lumi/a": SOLO})
    (tmp_path / "rules.txt").write_text("bann: smile\n", encoding="utf-8")
    with pytest.raises(PrepError, match=r"rules.txt, line 1: 'bann: smile' begins with none of"):
        run(manifest, rules=tmp_path / "rules.txt")
    with pytest.raises(PrepError, match="cannot be read"):
        run(manifest, rules=tmp_path / "none.txt")
    assert not manifest.decisions("caption")


def test_a_rule_makes_a_tag_needless_and_another_keeps_two_apart(build: Build, tmp_path: Path) -> None:
    manifest = build({"fanart/Lumi/a": {**SOLO, "maid": 0.9, "apron": 0.9, "hat": 0.9, "witch hat": 0.9}})
    file = tmp_path / "rules.txt"
    file.write_text("imply: maid -> apron\ndistinct: witch hat -> hat\n", encoding="utf-8")
    run(manifest, rules=file)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, solo, hat, maid, witch hat"
    assert rows(manifest, "fanart~Lumi/a")["apron"] == ("dropped", "implied by maid")


def test_what_the_set_teaches_is_used_where_names_confirm_it_and_proposed_where_not(build: Build) -> None:
    armed = {**SOLO, "holding crystal": 0.7, "crystal": 0.9, "cape": 0.9}
    manifest = build(
        {
            **{f"fanart/{who}/{number}": armed for who in ("Lumi", "Quill") for number in range(10)},
            **{f"fanart/Oriel/{number}": {**SOLO, "crystal": 0.9, "cape": 0.9, "smile": 0.9} for number in range(15)},
            **{f"fanart/Oriel/{number}x": {**SOLO, "smile": 0.9} for number in range(15)},
        }
    )
    outcome = run(manifest)
    assert rows(manifest, "fanart~Lumi/0")["crystal"] == ("dropped", "implied by holding crystal")
    assert "cape" in caption(manifest, "fanart~Lumi/0").split(", ")
    assert outcome.plan is not None
    lines = {(row["of"], row["tag"]): row for row in outcome.plan.table if row["found"] == "implied"}
    assert lines["holding crystal", "crystal"]["then"] == "used"
    assert lines["holding crystal", "cape"]["then"] == "proposed: imply: holding crystal -> cape"
    run(manifest, learn=False)
    assert "crystal" in caption(manifest, "fanart~Lumi/0").split(", ")
