"""Captions are composed of what the tagger saw, with a reason for every tag."""

from __future__ import annotations

from pathlib import Path

import pytest
from decided import decided
from painted_sets import quiet
from scored_sets import SOLO, TAGGER, Build, caption, rows, run, text_of

from pipeline.core.errors import PrepError
from pipeline.stages import curate
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.check import CheckReason
from pipeline.store.records import Decision, Image, Tagger
from pipeline.store.running.runner import run_stage
from pipeline.store.values.tags import TagAction
from pipeline.tags.vocabulary.token_count import load_tokens


def test_a_caption_begins_with_the_trigger_and_every_tag_has_a_reason(build: Build) -> None:
    manifest = build(
        {
            "fanart/Lumi/a": {
                **SOLO,
                "smile": 0.9,
                "angry": 0.2,
                "hat": 0.8,
                "witch hat": 0.9,
                "boots": 0.7,
                "red footwear": 0.8,
                "watermark": 0.9,
                "dust": 0.05,
                "general": 0.9,
            }
        }
    )
    outcome = run(manifest, compose="free")
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, solo, smile, witch hat, red boots"
    found = rows(manifest, "fanart~Lumi/a")
    assert found["Lumi"] == ("added", "trigger word")
    assert found["smile"] == ("kept", "0.90 ≥ 0.50")
    assert found["angry"] == ("dropped", "below its threshold: 0.20 < 0.50")
    assert found["hat"] == ("dropped", "implied by witch hat")
    assert found["boots"] == ("renamed", "to red boots: boots + red footwear")
    assert found["watermark"] == ("dropped", "quality flag: watermark")
    assert not {"dust", "general"} & found.keys(), "below the floor, and a rating"
    assert outcome.counts["flag:watermark"] == 1
    assert outcome.plan is not None
    assert "1 image flagged watermark: the caption is silent, the image is not" in outcome.plan.warnings
    decided = manifest.decisions("tags")["images/fanart~Lumi/a.png"].value
    before = {row.tag for row in decided if row.action != TagAction.ADDED and not row.below_threshold}
    after = {row.tag for row in decided if row.in_caption}
    assert before - after == {"hat", "boots", "red footwear", "watermark"} and after - before == {"Lumi", "red boots"}


def test_curating_twice_is_a_no_op_and_the_same_input_gives_the_same_plan(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": SOLO, "fanart/Lumi/b": {**SOLO, "smile": 0.9}})
    assert run(manifest).changed == 4
    written = text_of(manifest, "fanart~Lumi/a").stat().st_mtime_ns
    assert run(manifest).fresh
    assert curate.plan(manifest, curate.Options()) == curate.plan(manifest, curate.Options())
    again = run_stage(manifest, curate.STAGE, curate.Options(), quiet, force=True)
    assert again.changed == 0 and text_of(manifest, "fanart~Lumi/a").stat().st_mtime_ns == written


def test_a_threshold_needs_no_model_and_loosening_brings_tags_back(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": {**SOLO, "smile": 0.4}})
    run(manifest)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, solo"
    run(manifest, general=0.3)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, solo, smile"
    run(manifest)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, solo"


def test_images_not_kept_get_no_caption(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": SOLO, "fanart/Lumi/b": SOLO})
    with manifest.transaction():
        manifest.put_decisions(1, ("keep",), [Decision("images/fanart~Lumi/b.png", "keep", False, CheckReason.BLURRY)])
    run(manifest)
    assert set(manifest.decisions("caption")) == {"images/fanart~Lumi/a.png"} == set(manifest.decisions("tags"))
    assert not text_of(manifest, "fanart~Lumi/b").exists()


# --- persons


def test_nothing_is_joined_or_merged_across_two_persons(build: Build) -> None:
    tags = {
        "2girls": 0.99,
        "multiple girls": 0.99,
        "hat": 0.9,
        "witch hat": 0.9,
        "boots": 0.9,
        "red footwear": 0.9,
        "beach": 0.8,
        "outdoors": 0.8,
    }
    manifest = build({"screenshots/Oriel+Lumi/a": tags, "fanart/Lumi/b": tags})
    run(manifest)
    found = set(caption(manifest, "screenshots~Oriel+Lumi/a").split(", "))
    assert found == {"Oriel", "Lumi", "2girls", "beach", "boots", "hat", "red footwear", "witch hat"}
    assert caption(manifest, "screenshots~Oriel+Lumi/a").startswith("Oriel, Lumi, 2girls, ")
    assert {"hat", "boots", "red footwear"} <= set(caption(manifest, "fanart~Lumi/b").split(", "))
    assert rows(manifest, "fanart~Lumi/b")["outdoors"] == ("dropped", "implied by beach")


def test_a_folder_of_two_counts_two_persons_whatever_the_tagger_saw(build: Build) -> None:
    manifest = build({"screenshots/Oriel+Lumi/a": {**SOLO, "boots": 0.9, "red footwear": 0.9}})
    run(manifest)
    assert {"boots", "red footwear"} <= set(caption(manifest, "screenshots~Oriel+Lumi/a").split(", "))


# --- triggers, names, folders


def test_trigger_words_folders_renames_and_the_blacklist_do_what_they_say(build: Build) -> None:
    manifest = build(
        {"shots/Lumi/a": {**SOLO, "smile": 0.9, "mira (miniature)": 0.95, "sky": 0.9, "blue sky": 0.6, "fan art": 0.9}}
    )
    run(
        manifest,
        triggers={"Lumi": "lumi, white_witch"},
        media={"shots": "anime screenshot"},
        rename={"mira_(miniature)": "Mira", "smile": "grin"},
        blacklist=("*sky", "fan_art"),
    )
    assert caption(manifest, "shots~Lumi/a") == "lumi, white_witch, 1girl, solo, Mira, anime screenshot, grin"
    found = rows(manifest, "shots~Lumi/a")
    assert found["sky"] == found["blue sky"] == ("dropped", "blacklist: *sky")
    assert found["fan art"] == ("dropped", "blacklist")
    assert found["smile"] == ("renamed", "to grin: rename")
    assert found["anime screenshot"] == ("added", "given by the folder")


def test_a_tag_that_is_the_trigger_word_is_not_said_twice(build: Build) -> None:
    manifest = build({"fanart/Mira/a": {**SOLO, "mira": 0.9}})
    run(manifest)
    assert caption(manifest, "fanart~Mira/a") == "Mira, 1girl, solo"
    assert rows(manifest, "fanart~Mira/a")["mira"] == ("dropped", "the trigger word says it")


def test_without_triggers_rating_limit_and_hair_are_options(build: Build) -> None:
    manifest = build(
        {"fanart/Lumi/a": {**SOLO, "white hair": 0.9, "long hair": 0.8, "smile": 0.7, "sensitive": 0.2, "general": 0.4}}
    )
    run(manifest, trigger_from="none", compose="all", rating=True)
    assert caption(manifest, "fanart~Lumi/a") == "1girl, solo, long white hair, smile, rating:general"
    run(manifest, max_tags=3, compose="none", consolidate=False)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, solo, white hair"
    assert rows(manifest, "fanart~Lumi/a")["smile"] == ("dropped", "beyond the limit of 3 tags")
    run(manifest, separator=",")
    assert caption(manifest, "fanart~Lumi/a") == "Lumi,1girl,solo,white hair,long hair,smile"


def test_what_a_person_should_know_is_a_note(build: Build) -> None:
    manifest = build({"a/OyamaMahiro/1": SOLO, "a/OyamaMihari/1": {"smile": 0.2}, "a/1girl/1": None})
    outcome = run(
        manifest, triggers={"Nobody": "x"}, media={"nowhere": "y"}, blacklist=("no such tag",), trigger_from="folder"
    )
    assert outcome.plan is not None
    warnings = "\n".join(outcome.plan.warnings)
    assert "1 image (such as images/a~1girl/1.png) without scores by miniature; run: prep tag" in warnings
    assert "1 image (such as images/a~OyamaMihari/1.png) left without tags" in warnings
    assert "the trigger words OyamaMahiro and OyamaMihari share 'oyama', which lets them blend" in warnings
    assert "trigger words that are tags already, with a meaning of their own: 1girl" in warnings
    assert "triggers: no concept or name Nobody; there are: 1girl, OyamaMahiro, OyamaMihari" in warnings
    assert "media: no folder nowhere" in warnings
    assert "rename, blacklist and thresholds: miniature has no tag called no such tag" in warnings


# --- whose scores


def test_the_tagger_can_be_named_and_a_change_of_tagger_makes_the_stage_stale(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": SOLO})
    other = Tagger("other", "1", "p", "CPUExecutionProvider", {"1girl": "general"})
    with manifest.transaction():
        manifest.put_tagger(other)
        manifest.put_scores(other.id, {manifest.images()[0].content: {"1girl": 0.4, "angry": 0.9}})
    outcome = run(manifest)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, angry"
    assert outcome.plan is not None
    assert "other publishes no thresholds: 0.35 is taken for general tags, 0.85 for characters" in outcome.plan.warnings
    with manifest.transaction():
        manifest.put_tagger(TAGGER)
    assert not run(manifest).fresh
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, solo"
    run(manifest, tagger="other")
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, angry"
    run(manifest, tagger="none")
    assert caption(manifest, "fanart~Lumi/a") == "Lumi"
    with pytest.raises(PrepError, match=r"no scores by 'third'; there are scores by: .*other"):
        run(manifest, tagger="third")


def test_before_any_scores_it_says_to_tag_first_unless_a_person_wrote_all(build: Build, tmp_path: Path) -> None:
    manifest = Manifest.open(tmp_path / "bare", create=True)
    image = Image("images/Lumi/a.png", "Lumi", "/src/a.png", "0" * 64, 1, "copy")
    (manifest.root / "images/Lumi").mkdir(parents=True)
    with manifest.transaction():
        manifest.put_images([image])
    with pytest.raises(PrepError, match="no image was scored yet") as caught:
        run(manifest)
    assert "prep tag" in caught.value.hint and "--tagger none" in caught.value.hint
    (manifest.root / "images/Lumi/a.txt").write_text("Lumi, by hand", encoding="utf-8")
    run(manifest)
    assert manifest.decisions("caption")[image.path].value == "Lumi, by hand"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"general": 0.0}, "general is 0.0"),
        ({"core_share": 1.5}, "core_share is 1.5"),
        ({"core_lift": 0.5}, "core_lift is 0.5"),
        ({"separator": " "}, "separator is ' '"),
        ({"rename": {"a": "b, c"}}, "rename: a = 'b, c'"),
        ({"max_tags": -1}, "max_tags is -1"),
        ({"media": {"a": ""}}, "media: a = ''"),
        ({"floor": float("nan")}, "floor is nan"),
    ],
)
def test_options_out_of_range_are_refused(given: dict[str, object], words: str) -> None:
    with pytest.raises(PrepError) as caught:
        curate.Options(**given)  # type: ignore[arg-type]
    assert words in caught.value.message and caught.value.hint


# --- characters, series, order, limits


def series_set(build: Build) -> Manifest:
    manifest = build({"fanart/Lumi/a": {**SOLO, "smile": 0.9, "mira (miniature)": 0.95, "miniature world": 0.8}})
    categories = {**TAGGER.categories, "smile": "general", "solo": "general", "miniature world": "copyright"}
    with manifest.transaction():
        manifest.put_tagger(Tagger("miniature", "1", "p", "CPUExecutionProvider", categories))
    return manifest


def test_series_stand_after_characters_among_the_rest_or_nowhere(build: Build) -> None:
    manifest = series_set(build)
    run(manifest)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, solo, mira (miniature), miniature world, smile"
    run(manifest, copyrights="mixed")
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, solo, mira (miniature), smile, miniature world"
    run(manifest, copyrights="drop", characters="drop")
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, solo, smile"
    assert rows(manifest, "fanart~Lumi/a")["miniature world"] == ("dropped", "copyright tags are excluded")
    assert rows(manifest, "fanart~Lumi/a")["mira (miniature)"] == ("dropped", "character tags are excluded")


def test_tags_stand_by_score_by_frequency_or_as_the_tagger_lists_them(build: Build) -> None:
    manifest = build(
        {"a/Lumi/a": {**SOLO, "white hair": 0.6, "smile": 0.7, "angry": 0.8}, "a/Lumi/b": {**SOLO, "smile": 0.9}}
    )
    run(manifest)
    assert caption(manifest, "a~Lumi/a") == "Lumi, 1girl, solo, angry, smile, white hair"
    run(manifest, order="frequency")
    assert caption(manifest, "a~Lumi/a") == "Lumi, 1girl, solo, smile, angry, white hair"
    run(manifest, order="vocabulary")
    assert caption(manifest, "a~Lumi/a").endswith("white hair, angry, smile"), "the tagger lists white hair only"


def test_captions_are_cut_to_what_the_base_models_tokenizer_counts(build: Build) -> None:
    from train.miniature import painter

    folder = Path(painter.__file__).parent / "base/tokenizer"
    manifest = build({"a/Lumi/a": {**SOLO, "white hair": 0.9, "smile": 0.8, "angry": 0.7}})
    run(manifest, tokenizer=folder, max_tokens=11)
    cut = caption(manifest, "a~Lumi/a")
    load = load_tokens(folder)
    assert len(load.of_text(cut)) <= 11
    dropped = [tag for tag, row in rows(manifest, "a~Lumi/a").items() if row[1] == "beyond the limit of 11 tokens"]
    assert set(dropped) == {"white hair", "smile", "angry"}
    assert len(load.of_text(f"{cut}, white hair")) > 11, "the next by score; a shorter one behind it is not pulled up"
    with pytest.raises(PrepError, match=r"no tokenizer at .*nowhere"):
        run(manifest, tokenizer=folder / "nowhere")


def test_a_mark_stands_behind_the_trigger_words_when_asked(build: Build) -> None:
    manifest = build({"a/Lumi+Quill/a": {"2girls": 0.9, "smile": 0.9}, "b/x/a": SOLO})
    run(manifest, keep_separator="|||", triggers={"x": ""})
    assert caption(manifest, "a~Lumi+Quill/a") == "Lumi, Quill, |||, 2girls, smile"
    assert rows(manifest, "a~Lumi+Quill/a")["|||"] == ("added", "keep separator")
    assert caption(manifest, "b~x/a") == "1girl, solo", "there is nothing to keep"


# --- several taggers


def test_several_taggers_speak_together(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": {**SOLO, "smile": 0.4}})
    other = Tagger("other", "1", "p", "CPUExecutionProvider", {"smile": "general", "1girl": "general"})
    with manifest.transaction():
        manifest.put_tagger(other)
        manifest.put_scores(other.id, {manifest.images()[0].content: {"1girl": 0.9, "smile": 0.9}})
        manifest.put_decisions(1, ("tagger",), [decided(".", "tagger", [TAGGER.id, other.id])])
    run(manifest)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, solo, smile"
    found = rows(manifest, "fanart~Lumi/a")["smile"]
    assert found == ("kept", f"{TAGGER.id} 0.40 < 0.50, {other.id} 0.90 ≥ 0.35")
    run(manifest, tagger="miniature+other", combine="intersection")
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, solo"
    with pytest.raises(PrepError, match="no scores by 'third'"):
        run(manifest, tagger="miniature+third")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"thresholds": {"smile": 2.0}}, "thresholds: smile = 2.0"),
        ({"core": {"Lumi": "maybe"}}, "core: Lumi = 'maybe'"),
        ({"fix": ("skin",)}, "fix names skin, but contradictions are only reported"),
        ({"max_tokens": 75}, "max_tokens is 75 without a tokenizer"),
        ({"keep_separator": ", "}, "keep_separator is ', '"),
        ({"contradiction_share": 0.0}, "contradiction_share is 0.0"),
    ],
)
def test_new_options_out_of_range_are_refused(given: dict[str, object], words: str) -> None:
    with pytest.raises(PrepError) as caught:
        curate.Options(**given)  # type: ignore[arg-type]
    assert words in caught.value.message and caught.value.hint


def test_folders_whose_names_differ_in_case_only_share_one_trigger_word(build: Build) -> None:
    manifest = build({path: {"1girl": 0.9} for path in ("a/Lucy/1", "a/Lucy/2", "b/lucy/3")})
    outcome = run(manifest, prune="none")
    assert {row.value.split(", ")[0] for row in manifest.decisions("caption").values()} == {"Lucy"}
    assert any("differ in case only are one" in words and "lucy → Lucy" in words for words in outcome.plan.warnings)
