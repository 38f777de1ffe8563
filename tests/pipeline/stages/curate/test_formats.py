"""Captions in the formats of base models: trigger word first, every word with a reason, edits and limits as in any other."""

from __future__ import annotations

import pytest
from painted_sets import quiet
from scored_sets import SOLO, Build, caption, rows, run

from pipeline.config.parts import composed
from pipeline.core.errors import PrepError
from pipeline.stages import curate
from pipeline.stages.sample import format_of_captions
from pipeline.store.running.runner import run_stage
from pipeline.tags.editor.bulk_edits import plan_edits, record

SEEN = {**SOLO, "long hair": 0.9, "smile": 0.8, "o_o": 0.7, "mira (miniature)": 0.9, "sensitive": 0.9, "general": 0.2}


def test_the_trigger_word_is_first_and_every_word_says_why(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": SEEN})
    run(manifest, format="noobai", rating=True, quality={"*": "best quality"}, year={"fanart/*": 2019})
    assert caption(manifest, "fanart~Lumi/a") == (
        "Lumi, 1girl, mira (miniature), best quality, recent, year 2019, sensitive, solo, long hair, smile, o_o"
    )
    found = rows(manifest, "fanart~Lumi/a")
    assert found["best quality"] == ("added", "quality of the format")
    assert found["year 2019"] == ("added", "year of the format")
    assert found["rating:sensitive"] == ("renamed", "to sensitive: as the format noobai has it")
    assert manifest.trigger_words()["images/fanart~Lumi/a.png"] == ("Lumi",)
    assert format_of_captions(manifest) == "noobai"
    assert run(manifest, format="noobai", rating=True, quality={"*": "best quality"}, year={"fanart/*": 2019}).fresh


def test_underscores_are_written_in_tags_and_in_nothing_else(build: Build) -> None:
    manifest = build({"fanart/White Witch/a": SEEN})
    run(manifest, spelling="underscores", suffix=("very good picture",))
    assert caption(manifest, "fanart~White Witch/a") == (
        "White Witch, 1girl, solo, mira_(miniature), long_hair, smile, o_o, very good picture"
    )


def test_a_person_writes_the_order(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": SEEN})
    run(manifest, format="custom", format_order=("general", "count"))
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, long hair, smile, o_o, 1girl, solo, mira (miniature)"


def test_limits_take_tags_and_leave_the_words_of_the_format(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": SEEN})
    run(manifest, format="animagine", quality={"*": "masterpiece"}, max_tags=2)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, mira (miniature), masterpiece"
    assert rows(manifest, "fanart~Lumi/a")["smile"] == ("dropped", "beyond the limit of 2 tags")


def test_an_edit_holds_in_every_format(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": SEEN})
    run(manifest)
    edits = [("remove", "long hair"), ("replace", "smile", "grin"), ("add", "blue sky")]
    record(manifest, plan_edits(manifest, ["images/fanart~Lumi/a.png"], edits), {})
    run(manifest, spelling="underscores")
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, solo, mira_(miniature), grin, o_o, blue_sky"
    run(manifest, format="prose")
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, one girl, alone, mira (miniature), grin, o_o, blue sky"


@pytest.mark.parametrize("options", [{"spelling": "underscores"}, {"format": "prose"}, {"format": "noobai"}])
def test_captions_in_any_format_can_be_edited_by_the_names_of_tags_and_the_next_curation_says_the_same(
    build: Build, options: dict[str, str]
) -> None:
    manifest, path = build({"fanart/Lumi/a": SEEN}), "images/fanart~Lumi/a.png"
    run(manifest, **options)
    before = caption(manifest, "fanart~Lumi/a")
    record(manifest, plan_edits(manifest, [path], [("remove", "1girl"), ("add", "upper body")]), {})
    edited = caption(manifest, "fanart~Lumi/a")
    assert len(edited.split(", ")) == len(before.split(", ")) and edited != before
    run_stage(manifest, curate.STAGE, composed(curate.Options, options), quiet, force=True)
    assert caption(manifest, "fanart~Lumi/a") == edited
    record(manifest, plan_edits(manifest, [path], [("add", "1girl"), ("remove", "upper body")]), {})
    assert "manual_edits" not in {row.field for row in manifest.decisions_of(path)}, "they were taken back"
    run_stage(manifest, curate.STAGE, composed(curate.Options, options), quiet, force=True)
    assert caption(manifest, "fanart~Lumi/a") == before


def test_a_word_beside_the_tags_can_be_taken_out_of_one_caption(build: Build) -> None:
    manifest, path = build({"fanart/Lumi/a": SEEN}), "images/fanart~Lumi/a.png"
    options = {"format": "noobai", "spelling": "underscores", "year": {"*": 2019}}
    run(manifest, **options)
    record(manifest, plan_edits(manifest, [path], [("remove", "year 2019")]), {})
    edited = caption(manifest, "fanart~Lumi/a")
    assert edited == "Lumi, 1girl, mira_(miniature), recent, solo, long_hair, smile, o_o"
    run_stage(manifest, curate.STAGE, composed(curate.Options, options), quiet, force=True)
    assert caption(manifest, "fanart~Lumi/a") == edited


def test_a_file_that_is_poor_is_marked(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": {**SEEN, "jpeg artifacts": 0.9}, "fanart/Lumi/b": SEEN})
    run(manifest, format="noobai", poor="mark")
    assert "worst quality" in caption(manifest, "fanart~Lumi/a").split(", ")
    assert "worst quality" not in caption(manifest, "fanart~Lumi/b")


def test_three_captions_are_shown_in_every_format_and_nothing_is_written(build: Build) -> None:
    manifest = build({f"fanart/{name}/{letter}": SEEN for name in ("Lumi", "Quill") for letter in "abc"})
    options = composed(curate.Options, {"format": "illustrious", "year": {"*": 2020}, "poor": "mark"})
    found = curate.preview_formats(manifest, options)
    assert [each.name for each in found] == ["booru", "pony", "animagine", "noobai", "illustrious", "prose"]
    assert [each.name for each in found if each.chosen] == ["illustrious"]
    for each in found:
        assert [path for path, _ in each.captions][:2] == ["images/fanart~Lumi/a.png", "images/fanart~Quill/a.png"]
        assert len(each.captions) == 3
    assert manifest.decisions("caption") == {} and manifest.last_run("curate") is None
    run(manifest, format="illustrious", year={"*": 2020}, poor="mark")
    shown = dict(next(each for each in found if each.chosen).captions)
    for path, text in shown.items():
        assert manifest.decisions("caption")[path].value == text, "a preview shows what is written"


def test_prose_has_no_ratings() -> None:
    with pytest.raises(PrepError, match="no words for ratings"):
        composed(curate.Options, {"format": "prose", "rating": True})


def test_quality_words_of_another_family_are_warned_of(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": SEEN})
    outcome = run(manifest, format="illustrious", quality={"*": "great quality"})
    assert outcome.plan is not None
    assert any("no word that illustrious documents" in each for each in outcome.plan.warnings)
