"""Images flagged for what is drawn on them, and tags that contradict their concept."""

from __future__ import annotations

import pytest
from scored_sets import SOLO, Build, caption, rows, run

from pipeline.core.errors import PrepError
from pipeline.store.values.contradiction import Contradiction
from pipeline.store.wording import figures, phrase


def test_an_image_with_a_watermark_is_flagged_even_where_the_blacklist_names_it(build: Build) -> None:
    manifest = build({"a/Lumi/a": {**SOLO, "watermark": 0.92, "english text": 0.6}, "a/Lumi/b": SOLO})
    for options in ({}, {"blacklist": ("*watermark*",)}, {"keep_quality": True}):
        run(manifest, **options)
        (row,) = manifest.decisions("flags").values()
        assert (row.path, row.value, phrase(row)) == (
            "images/a~Lumi/a.png",
            ["watermark", "text"],
            "flagged: watermark, text",
        )
        assert figures(row) == "watermark 0.92; english text 0.60"
    assert "watermark" in caption(manifest, "a~Lumi/a").split(", ")


def odd_set() -> dict[str, dict[str, float] | None]:
    blonde = {**SOLO, "blonde hair": 0.9, "smile": 0.9}
    return {
        **{f"fanart/Lumi/{number}": blonde for number in range(6)},
        **{f"screenshots/Lumi/{number}": blonde for number in range(5)},
        "screenshots/Lumi/odd": {**SOLO, "brown hair": 0.6, "blonde hair": 0.3},
        "screenshots/Lumi/two": {"2girls": 0.9, "brown hair": 0.9},
        "screenshots/Lumi/mixed": {**SOLO, "multicolored hair": 0.9, "brown hair": 0.9},
        **{f"fanart/Quill/{number}": {**SOLO, "blue hair": 0.9} for number in range(6)},
    }


def test_a_contradiction_is_reported_with_a_proposed_fix_and_never_fixed_silently(build: Build) -> None:
    manifest = build(odd_set())
    outcome = run(manifest)
    assert caption(manifest, "screenshots~Lumi/odd") == "Lumi, 1girl, solo, brown hair"
    (row,) = manifest.decisions("contradictions").values()
    assert (row.path, phrase(row)) == ("images/screenshots~Lumi/odd.png", "conflicting: hair colour")
    wanted = Contradiction("hair colour", "blonde hair", "brown hair", 0.6, 0.3, "replace", "Lumi", 11, 12)
    assert row.value == (wanted,) and wanted.share == pytest.approx(0.9167, abs=1e-4) and not wanted.fixed
    said = "brown hair 0.60; blonde hair in 11 of 12 images of Lumi, here 0.30"
    assert figures(row) == said
    assert outcome.plan is not None
    line = next(each for each in outcome.plan.table if each["found"] == "conflicting: hair colour")
    assert (line["of"], line["tag"], line["then"]) == ("Lumi", "brown hair", "proposed: replace")
    assert line["figures"] == f"1 image (such as images/screenshots~Lumi/odd.png): {said}"
    assert any('fix with --contradictions fix --fix "hair colour"' in note for note in outcome.plan.warnings)


@pytest.mark.parametrize("fix", [(), ("hair colour",), ("images/screenshots~Lumi/odd.png",)])
def test_contradictions_are_fixed_when_asked_by_attribute_or_by_image(build: Build, fix: tuple[str, ...]) -> None:
    manifest = build(odd_set())
    run(manifest, contradictions="fix", fix=fix, prune="none")
    assert caption(manifest, "screenshots~Lumi/odd") == "Lumi, 1girl, solo, blonde hair"
    what, why = rows(manifest, "screenshots~Lumi/odd")["brown hair"]
    assert what == "renamed" and why.startswith("to blonde hair: fixed hair colour: brown hair 0.60; blonde hair in 11")
    (row,) = manifest.decisions("contradictions").values()
    assert phrase(row) == "fixed: hair colour" and row.value[0].fixed is True
    assert caption(manifest, "screenshots~Lumi/two") == "Lumi, 2girls, brown hair", "it may be the other's"
    run(manifest, contradictions="fix", fix=("skin",), prune="none")
    assert "brown hair" in caption(manifest, "screenshots~Lumi/odd")


def test_what_is_to_be_fixed_must_be_an_attribute_or_an_image(build: Build) -> None:
    manifest = build(odd_set())
    with pytest.raises(
        PrepError, match="fix names 'hair color', which is neither an attribute nor a kept image"
    ) as caught:
        run(manifest, contradictions="fix", fix=("hair color",))
    assert "attributes are: background, count, eye colour, hair colour" in caught.value.hint


@pytest.mark.parametrize("several", ["multiple views", "chibi inset", "comic", "reference sheet"])
def test_an_image_of_several_pictures_is_not_judged_as_one_of_one_person(build: Build, several: str) -> None:
    views = {**SOLO, several: 0.9, "brown hair": 0.9, "boots": 0.9, "red footwear": 0.8}
    manifest = build({**odd_set(), "screenshots/Lumi/odd": views, "screenshots/Lumi/mixed": views})
    run(manifest)
    assert manifest.decisions("contradictions") == {}, "one of the views may be of someone else"
    told = caption(manifest, "screenshots~Lumi/odd").split(", ")
    assert {several, "brown hair", "boots", "red footwear"} <= set(told), "the colour may be another view's"


def test_several_views_of_a_character_still_leave_her_traits_to_the_trigger(build: Build) -> None:
    manifest = build({**odd_set(), "screenshots/Lumi/odd": {**SOLO, "multiple views": 0.9, "blonde hair": 0.9}})
    run(manifest)
    assert caption(manifest, "screenshots~Lumi/odd") == "Lumi, 1girl, solo, multiple views"
