from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from painted_sets import quiet

from pipeline.errors import PrepError
from pipeline.manifest import Manifest
from pipeline.records import Decision, Image, Tagger
from pipeline.stage import Outcome, preview_stage, run_stage
from pipeline.stages import curate
from pipeline.tags.rows import before_and_after

TAGGER = Tagger(
    "miniature",
    "1",
    "p",
    "CPUExecutionProvider",
    {
        "general": "rating",
        "sensitive": "rating",
        "mira (miniature)": "character",
        "1girl": "general",
        "white hair": "general",
    },
)
SOLO = {"1girl": 0.99, "solo": 0.98}
Build = Callable[..., Manifest]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Make a set of pictures with scores: keywords are `concept__name` → scores, `None` for a picture not scored."""

    def make(pictures: dict[str, dict[str, float] | None]) -> Manifest:
        manifest = Manifest.open(tmp_path / "set", create=True)
        images = []
        for path in pictures:
            concept, _, name = path.rpartition("/")
            image = Image(
                f"images/{concept.replace('/', '~')}/{name}.png",
                concept,
                f"/src/{path}",
                hashlib.sha256(path.encode()).hexdigest(),
                1,
                "copy",
            )
            (manifest.root / image.path).parent.mkdir(parents=True, exist_ok=True)
            images.append((image, pictures[path]))
        with manifest.transaction():
            manifest.put_images(image for image, _ in images)
            manifest.put_tagger(TAGGER)
            manifest.put_scores(TAGGER.id, {image.content: scores for image, scores in images if scores is not None})
        return manifest

    return make


def run(manifest: Manifest, **options: object) -> Outcome:
    return run_stage(manifest, curate, curate.Options(**options), quiet)  # type: ignore[arg-type]


def caption(manifest: Manifest, path: str) -> str:
    """What stands beside a picture, which is also what the record says."""
    file = manifest.root / "images" / f"{path}.txt"
    text = file.read_text(encoding="utf-8")
    assert text.endswith("\n") and manifest.decisions("caption")[f"images/{path}.png"].value == text[:-1]
    return text[:-1]


def rows(manifest: Manifest, path: str) -> dict[str, tuple[str, str]]:
    return {tag: (action, reason) for tag, action, reason in manifest.decisions("tags")[f"images/{path}.png"].value}


def text_of(manifest: Manifest, path: str) -> Path:
    return manifest.root / "images" / f"{path}.txt"


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
    outcome = run(manifest)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, solo, 1girl, smile, witch hat, red boots"
    found = rows(manifest, "fanart~Lumi/a")
    assert found["Lumi"] == ("added", "trigger word")
    assert found["smile"] == ("kept", "0.90 ≥ 0.50")
    assert found["angry"] == ("dropped", "below its threshold: 0.20 < 0.50")
    assert found["hat"] == ("dropped", "witch hat says more")
    assert found["boots"] == ("renamed", "to red boots: boots + red footwear")
    assert found["watermark"] == ("dropped", "quality flag: watermark")
    assert not {"dust", "general"} & found.keys(), "below the floor, and a rating"
    assert outcome.counts["flag: watermark"] == 1
    assert outcome.plan is not None
    assert "1 picture flagged watermark: the caption is silent, the picture is not" in outcome.plan.notes
    before, after = before_and_after(manifest.decisions("tags")["images/fanart~Lumi/a.png"].value)
    assert set(before) - set(after) == {"hat", "boots", "red footwear", "watermark"}
    assert set(after) - set(before) == {"Lumi", "red boots"}


def test_curating_twice_is_a_no_op_and_the_same_input_gives_the_same_plan(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": SOLO, "fanart/Lumi/b": {**SOLO, "smile": 0.9}})
    assert run(manifest).changed == 4
    written = text_of(manifest, "fanart~Lumi/a").stat().st_mtime_ns
    assert run(manifest).fresh
    assert curate.plan(manifest, curate.Options()) == curate.plan(manifest, curate.Options())
    again = run_stage(manifest, curate, curate.Options(), quiet, force=True)
    assert again.changed == 0 and text_of(manifest, "fanart~Lumi/a").stat().st_mtime_ns == written


def test_a_threshold_needs_no_model_and_loosening_brings_tags_back(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": {**SOLO, "smile": 0.4}})
    run(manifest)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, solo, 1girl"
    run(manifest, general=0.3)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, solo, 1girl, smile"
    run(manifest)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, solo, 1girl"


def test_pictures_not_kept_get_no_caption(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": SOLO, "fanart/Lumi/b": SOLO})
    with manifest.transaction():
        manifest.put_decisions(1, ("keep",), [Decision("images/fanart~Lumi/b.png", "keep", False, "blurry")])
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
    assert rows(manifest, "fanart~Lumi/b")["outdoors"] == ("dropped", "beach says more")


def test_a_folder_of_two_counts_two_persons_whatever_the_tagger_saw(build: Build) -> None:
    manifest = build({"screenshots/Oriel+Lumi/a": {**SOLO, "boots": 0.9, "red footwear": 0.9}})
    run(manifest)
    assert {"boots", "red footwear"} <= set(caption(manifest, "screenshots~Oriel+Lumi/a").split(", "))


# --- core tags


def core_set() -> dict[str, dict[str, float] | None]:
    looks = {**SOLO, "white hair": 0.9, "red eyes": 0.9, "smile": 0.9}
    others = {**SOLO, "blue hair": 0.9, "red eyes": 0.9}
    return {
        **{f"fanart/Lumi/{number}": looks for number in range(3)},
        **{f"screenshots/Lumi/{number}": looks for number in range(3)},
        **{f"fanart/Quill/{number}": others for number in range(2)},
        "artists/alder/0": {**SOLO, "white hair": 0.9},
        "duo/Lumi+Quill/0": {"2girls": 0.9, "white hair": 0.9, "blue hair": 0.9},
        "fanart/Lumi/guest": {"2girls": 0.9, "white hair": 0.9},
    }


def test_the_trigger_absorbs_what_makes_the_character_over_all_her_folders(build: Build) -> None:
    manifest = build(core_set())
    outcome = run(manifest)
    assert caption(manifest, "fanart~Lumi/0") == "Lumi, solo, 1girl, smile"
    figures = "in 6 of 6 pictures, 1 of 3 others"
    assert rows(manifest, "fanart~Lumi/0")["white hair"] == ("dropped", f"core of Lumi: {figures}")
    assert caption(manifest, "artists~alder/0") == "alder, solo, 1girl, white hair"
    assert caption(manifest, "duo~Lumi+Quill/0") == "Lumi, Quill, 2girls, blue hair", "Quill has too few pictures"
    assert outcome.plan is not None
    assert outcome.plan.table[1] == {
        "trigger": "Lumi",
        "core tag": "white hair",
        "share": 1.0,
        "lift": 3.0,
        "figures": figures,
    }
    assert any(
        note.startswith("core tags need 5 pictures of one person alone: alder has 1, Quill has 2;")
        for note in outcome.plan.notes
    )


def test_a_trait_is_kept_where_it_may_be_anothers(build: Build) -> None:
    manifest = build(core_set())
    run(manifest)
    assert rows(manifest, "fanart~Lumi/guest")["white hair"] == ("kept", "core of Lumi, but there are 2 persons")


def test_pruning_can_be_turned_off_and_made_stricter(build: Build) -> None:
    manifest = build(core_set())
    run(manifest, prune="none")
    assert caption(manifest, "fanart~Lumi/0") == "Lumi, solo, 1girl, red eyes, smile, white hair"
    run(manifest, core_lift=2.0)
    assert caption(manifest, "fanart~Lumi/0") == "Lumi, solo, 1girl, red eyes, smile"
    run(manifest, core_pictures=2)
    assert "blue hair" not in caption(manifest, "fanart~Quill/0")


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
    assert caption(manifest, "shots~Lumi/a") == "lumi, white_witch, solo, 1girl, Mira, anime screenshot, grin"
    found = rows(manifest, "shots~Lumi/a")
    assert found["sky"] == found["blue sky"] == ("dropped", "blacklist: *sky")
    assert found["fan art"] == ("dropped", "blacklist")
    assert found["smile"] == ("renamed", "to grin: rename")
    assert found["anime screenshot"] == ("added", "given by the folder")


def test_a_tag_that_is_the_trigger_word_is_not_said_twice(build: Build) -> None:
    manifest = build({"fanart/Mira/a": {**SOLO, "mira": 0.9}})
    run(manifest)
    assert caption(manifest, "fanart~Mira/a") == "Mira, solo, 1girl"
    assert rows(manifest, "fanart~Mira/a")["mira"] == ("dropped", "the trigger word says it")


def test_without_triggers_rating_limit_and_hair_are_options(build: Build) -> None:
    manifest = build(
        {"fanart/Lumi/a": {**SOLO, "white hair": 0.9, "long hair": 0.8, "smile": 0.7, "sensitive": 0.2, "general": 0.4}}
    )
    run(manifest, trigger_from="none", compose="all", rating=True)
    assert caption(manifest, "fanart~Lumi/a") == "solo, 1girl, long white hair, smile, rating:general"
    run(manifest, max_tags=3, compose="none", consolidate=False)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, solo, 1girl, white hair"
    assert rows(manifest, "fanart~Lumi/a")["smile"] == ("dropped", "beyond the limit of 3 tags")
    run(manifest, separator=",")
    assert caption(manifest, "fanart~Lumi/a") == "Lumi,solo,1girl,white hair,long hair,smile"


def test_what_a_person_should_know_is_a_note(build: Build) -> None:
    manifest = build({"a/OyamaMahiro/1": SOLO, "a/OyamaMihari/1": {"smile": 0.2}, "a/1girl/1": None})
    outcome = run(
        manifest, triggers={"Nobody": "x"}, media={"nowhere": "y"}, blacklist=("no such tag",), trigger_from="folder"
    )
    assert outcome.plan is not None
    notes = "\n".join(outcome.plan.notes)
    assert "1 picture (such as images/a~1girl/1.png) without scores by miniature; run: prep tag" in notes
    assert "1 picture (such as images/a~OyamaMihari/1.png) left without tags" in notes
    assert "the trigger words OyamaMahiro and OyamaMihari share 'oyama', which lets them blend" in notes
    assert "trigger words that are tags already, with a meaning of their own: 1girl" in notes
    assert "triggers: no concept or name Nobody; there are: 1girl, OyamaMahiro, OyamaMihari" in notes
    assert "media: no folder nowhere" in notes
    assert "rename and blacklist: miniature has no tag called no such tag" in notes


# --- captions by a person


def test_a_persons_edit_wins_over_every_rule_and_survives(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": {**SOLO, "smile": 0.9}, "fanart/Lumi/b": SOLO})
    run(manifest)
    text_of(manifest, "fanart~Lumi/a").write_text("1girl, a grin", encoding="utf-8")
    outcome = run(manifest)
    assert not outcome.fresh
    decision = manifest.decisions("caption")["images/fanart~Lumi/a.png"]
    assert (decision.value, decision.reason) == ("1girl, a grin", "written by a person")
    assert rows(manifest, "fanart~Lumi/a")["a grin"] == ("kept", "written by a person")
    assert outcome.plan is not None
    assert any("does not begin with the trigger words" in note for note in outcome.plan.notes)
    for options in ({"general": 0.9}, {"prune": "none"}, {}):
        run(manifest, **options)
        assert text_of(manifest, "fanart~Lumi/a").read_text(encoding="utf-8") == "1girl, a grin"
    assert run(manifest).fresh
    assert caption(manifest, "fanart~Lumi/b") == "Lumi, solo, 1girl"


def test_an_edit_of_an_edit_is_taken_in_and_an_empty_one_is_an_edit_too(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": SOLO})
    run(manifest)
    for words in ("first", "second", ""):
        text_of(manifest, "fanart~Lumi/a").write_text(words, encoding="utf-8")
        run(manifest)
        assert manifest.decisions("caption")["images/fanart~Lumi/a.png"].value == words
        assert text_of(manifest, "fanart~Lumi/a").read_text(encoding="utf-8") == words


def test_a_text_that_was_there_first_is_a_persons(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": SOLO, "fanart/Lumi/b": SOLO})
    text_of(manifest, "fanart~Lumi/a").write_bytes("\ufeffLumi, ♥\r\n".encode())
    text_of(manifest, "fanart~Lumi/b").write_text("  \n", encoding="utf-8")
    run(manifest)
    assert manifest.decisions("caption")["images/fanart~Lumi/a.png"].value == "Lumi, ♥"
    assert text_of(manifest, "fanart~Lumi/a").read_bytes() == "\ufeffLumi, ♥\r\n".encode(), "not even its bytes change"
    assert caption(manifest, "fanart~Lumi/b") == "Lumi, solo, 1girl", "an empty file says nothing"


def test_deleting_the_file_or_restoring_preps_own_text_gives_it_back_to_prep(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": SOLO, "fanart/Lumi/b": SOLO})
    run(manifest)
    for name in "ab":
        text_of(manifest, f"fanart~Lumi/{name}").write_text("mine", encoding="utf-8")
    run(manifest)
    text_of(manifest, "fanart~Lumi/a").unlink()
    text_of(manifest, "fanart~Lumi/b").write_text("Lumi, solo, 1girl\n", encoding="utf-8")
    run(manifest)
    assert caption(manifest, "fanart~Lumi/a") == caption(manifest, "fanart~Lumi/b") == "Lumi, solo, 1girl"
    assert not manifest.human()


def test_a_caption_that_vanished_is_written_again(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": SOLO})
    run(manifest)
    text_of(manifest, "fanart~Lumi/a").unlink()
    run(manifest)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, solo, 1girl"


def test_a_file_that_is_not_utf8_is_never_rewritten(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": SOLO, "fanart/Lumi/b": SOLO})
    text_of(manifest, "fanart~Lumi/a").write_bytes(b"Lumi, caf\xe9")
    outcome = run(manifest)
    assert text_of(manifest, "fanart~Lumi/a").read_bytes() == b"Lumi, caf\xe9"
    assert "images/fanart~Lumi/a.png" not in manifest.decisions("caption")
    assert manifest.decisions("tags")["images/fanart~Lumi/a.png"].reason == "caption file is not UTF-8"
    assert outcome.plan is not None and any("save it as UTF-8" in note for note in outcome.plan.notes)
    text_of(manifest, "fanart~Lumi/b").write_bytes(b"\xff\xfe")
    run(manifest, general=0.99)
    assert text_of(manifest, "fanart~Lumi/b").read_bytes() == b"\xff\xfe"
    text_of(manifest, "fanart~Lumi/a").write_text("Lumi, café", encoding="utf-8")
    run(manifest)
    assert manifest.decisions("caption")["images/fanart~Lumi/a.png"].value == "Lumi, café"


def test_killed_before_or_after_writing_a_caption_prep_does_not_take_its_own_text_for_a_persons(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = build({"fanart/Lumi/a": {**SOLO, "smile": 0.4}, "fanart/Lumi/b": {**SOLO, "smile": 0.4}})
    run(manifest)
    written = []

    def die(target: Path, text: str) -> None:
        if written:
            raise KeyboardInterrupt
        written.append(target)
        target.write_text(text, encoding="utf-8")

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("pipeline.captions.write_text", die)
        run(manifest, general=0.3)
    run(manifest, general=0.3)
    assert caption(manifest, "fanart~Lumi/a") == caption(manifest, "fanart~Lumi/b") == "Lumi, solo, 1girl, smile"
    assert not manifest.human()


def test_a_preview_writes_no_caption(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": SOLO})
    plan = preview_stage(manifest, curate, curate.Options(), quiet)
    assert [decision.field for decision in plan.decisions] == ["caption", "tags"]
    assert not text_of(manifest, "fanart~Lumi/a").exists() and not manifest.decisions("caption")


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
    assert "other publishes no thresholds: 0.35 is taken for general tags, 0.85 for characters" in outcome.plan.notes
    with manifest.transaction():
        manifest.put_tagger(TAGGER)
    assert not run(manifest).fresh
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, solo, 1girl"
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
    with pytest.raises(PrepError, match="no picture was scored yet") as caught:
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
