from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from decided import decided
from painted_sets import quiet

from pipeline.core.errors import PrepError
from pipeline.stages import curate
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.check import CheckReason
from pipeline.store.records import Decision, Image, Tagger
from pipeline.store.running.apply import Outcome
from pipeline.store.running.runner import preview_stage, run_stage
from pipeline.store.values.contradiction import Contradiction
from pipeline.store.values.tags import TagAction
from pipeline.store.wording import figures, phrase
from pipeline.tags.vocabulary.token_count import load_tokens

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
    """Make a set of images with scores: keywords are `concept__name` → scores, `None` for an image not scored."""

    def make(imgs: dict[str, dict[str, float] | None]) -> Manifest:
        manifest = Manifest.open(tmp_path / "set", create=True)
        images = []
        for path in imgs:
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
            images.append((image, imgs[path]))
        with manifest.transaction():
            manifest.put_images(image for image, _ in images)
            manifest.put_tagger(TAGGER)
            manifest.put_scores(TAGGER.id, {image.content: scores for image, scores in images if scores is not None})
        return manifest

    return make


def run(manifest: Manifest, **options: object) -> Outcome:
    return run_stage(manifest, curate.STAGE, curate.Options(**options), quiet)  # type: ignore[arg-type]


def caption(manifest: Manifest, path: str) -> str:
    """What stands beside an image, which is also what the record says."""
    file = manifest.root / "images" / f"{path}.txt"
    text = file.read_text(encoding="utf-8")
    assert text.endswith("\n") and manifest.decisions("caption")[f"images/{path}.png"].value == text[:-1]
    return text[:-1]


def rows(manifest: Manifest, path: str) -> dict[str, tuple[str, str]]:
    return {row.tag: (row.action, phrase(row)) for row in manifest.decisions("tags")[f"images/{path}.png"].value}


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
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, solo, 1girl"
    run(manifest, general=0.3)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, solo, 1girl, smile"
    run(manifest)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, solo, 1girl"


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


def test_core_traits_are_pruned_into_the_trigger_over_all_folders_of_the_character(build: Build) -> None:
    manifest = build(core_set())
    outcome = run(manifest)
    assert caption(manifest, "fanart~Lumi/0") == "Lumi, solo, 1girl, smile"
    figures = "in 6 of 6 images, 1 of 3 others"
    assert rows(manifest, "fanart~Lumi/0")["white hair"] == ("dropped", f"core of Lumi: {figures}")
    assert caption(manifest, "artists~alder/0") == "alder, solo, 1girl, white hair"
    assert caption(manifest, "duo~Lumi+Quill/0") == "Lumi, Quill, 2girls, blue hair", "Quill has too few images"
    assert outcome.plan is not None
    assert outcome.plan.table[1] == {
        "found": "core tag",
        "of": "Lumi",
        "tag": "white hair",
        "figures": figures,
        "then": "pruned",
    }
    assert outcome.plan.info == (
        "core tags need 5 images of one person alone: Quill has 2; their traits stay in captions",
    ), "alder is a style"


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
    run(manifest, core_images=2)
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
    warnings = "\n".join(outcome.plan.warnings)
    assert "1 image (such as images/a~1girl/1.png) without scores by miniature; run: prep tag" in warnings
    assert "1 image (such as images/a~OyamaMihari/1.png) left without tags" in warnings
    assert "the trigger words OyamaMahiro and OyamaMihari share 'oyama', which lets them blend" in warnings
    assert "trigger words that are tags already, with a meaning of their own: 1girl" in warnings
    assert "triggers: no concept or name Nobody; there are: 1girl, OyamaMahiro, OyamaMihari" in warnings
    assert "media: no folder nowhere" in warnings
    assert "rename, blacklist and thresholds: miniature has no tag called no such tag" in warnings


# --- captions by a person


def test_a_persons_edit_wins_over_every_rule_and_survives(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": {**SOLO, "smile": 0.9}, "fanart/Lumi/b": SOLO})
    run(manifest)
    text_of(manifest, "fanart~Lumi/a").write_text("1girl, a grin", encoding="utf-8")
    outcome = run(manifest)
    assert not outcome.fresh
    decision = manifest.decisions("caption")["images/fanart~Lumi/a.png"]
    assert (decision.value, phrase(decision)) == ("1girl, a grin", "manual caption")
    assert rows(manifest, "fanart~Lumi/a")["a grin"] == ("kept", "manual caption")
    assert outcome.plan is not None
    assert any("does not begin with the trigger words" in note for note in outcome.plan.warnings)
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
    assert not manifest.manual_captions()


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
    assert phrase(manifest.decisions("tags")["images/fanart~Lumi/a.png"]) == "caption file is not UTF-8"
    assert outcome.plan is not None and any("save it as UTF-8" in note for note in outcome.plan.warnings)
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
        patch.setattr("pipeline.store.caption_files.write_text", die)
        run(manifest, general=0.3)
    run(manifest, general=0.3)
    assert caption(manifest, "fanart~Lumi/a") == caption(manifest, "fanart~Lumi/b") == "Lumi, solo, 1girl, smile"
    assert not manifest.manual_captions()


def test_a_preview_writes_no_caption(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": SOLO})
    plan = preview_stage(manifest, curate.STAGE, curate.Options(), quiet)
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
    assert "other publishes no thresholds: 0.35 is taken for general tags, 0.85 for characters" in outcome.plan.warnings
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


# --- names and rules


def test_a_file_of_rules_names_bans_and_thresholds_tags_and_a_change_of_it_makes_the_stage_stale(
    build: Build, tmp_path: Path
) -> None:
    manifest = build({"fanart/Lumi/a": {**SOLO, ";)": 0.9, "smile": 0.55, "blue background": 0.9, "nekomimi": 0.9}})
    file = tmp_path / "rules.txt"
    file.write_text("rename: ;) -> wink smile\ndrop: *background*\nthreshold: smile = 0.6\n", encoding="utf-8")
    run(manifest, rules=file)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, solo, 1girl, cat ears, wink smile"
    found = rows(manifest, "fanart~Lumi/a")
    assert found[";)"] == ("renamed", "to wink smile: rename")
    assert found["blue background"] == ("dropped", "blacklist: *background*")
    assert found["smile"] == ("dropped", "below its threshold: 0.55 < 0.60")
    assert found["nekomimi"] == ("renamed", "to cat ears: another name of it")
    assert run(manifest, rules=file).fresh
    file.write_text("threshold: smile = 0.5\n", encoding="utf-8")
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
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, solo, 1girl, hat, maid, witch hat"
    assert rows(manifest, "fanart~Lumi/a")["apron"] == ("dropped", "implied by maid")


def test_what_the_set_teaches_is_used_where_names_confirm_it_and_proposed_where_not(build: Build) -> None:
    armed = {**SOLO, "holding sword": 0.7, "sword": 0.9, "cape": 0.9}
    manifest = build(
        {
            **{f"fanart/{who}/{number}": armed for who in ("Lumi", "Quill") for number in range(10)},
            **{f"fanart/Oriel/{number}": {**SOLO, "sword": 0.9, "cape": 0.9, "smile": 0.9} for number in range(15)},
            **{f"fanart/Oriel/{number}x": {**SOLO, "smile": 0.9} for number in range(15)},
        }
    )
    outcome = run(manifest)
    assert rows(manifest, "fanart~Lumi/0")["sword"] == ("dropped", "implied by holding sword")
    assert "cape" in caption(manifest, "fanart~Lumi/0").split(", ")
    assert outcome.plan is not None
    lines = {(row["of"], row["tag"]): row for row in outcome.plan.table if row["found"] == "implied"}
    assert lines["holding sword", "sword"]["then"] == "used"
    assert lines["holding sword", "cape"]["then"] == "proposed: imply: holding sword -> cape"
    run(manifest, learn=False)
    assert "sword" in caption(manifest, "fanart~Lumi/0").split(", ")


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
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, solo, 1girl, mira (miniature), miniature world, smile"
    run(manifest, copyrights="mixed")
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, solo, 1girl, mira (miniature), smile, miniature world"
    run(manifest, copyrights="drop", characters="drop")
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, solo, 1girl, smile"
    assert rows(manifest, "fanart~Lumi/a")["miniature world"] == ("dropped", "copyright tags are excluded")
    assert rows(manifest, "fanart~Lumi/a")["mira (miniature)"] == ("dropped", "character tags are excluded")


def test_tags_stand_by_score_by_frequency_or_as_the_tagger_lists_them(build: Build) -> None:
    manifest = build(
        {"a/Lumi/a": {**SOLO, "white hair": 0.6, "smile": 0.7, "angry": 0.8}, "a/Lumi/b": {**SOLO, "smile": 0.9}}
    )
    run(manifest)
    assert caption(manifest, "a~Lumi/a") == "Lumi, solo, 1girl, angry, smile, white hair"
    run(manifest, order="frequency")
    assert caption(manifest, "a~Lumi/a") == "Lumi, solo, 1girl, smile, angry, white hair"
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
    assert caption(manifest, "b~x/a") == "solo, 1girl", "there is nothing to keep"


# --- flags and contradictions


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
    assert caption(manifest, "screenshots~Lumi/odd") == "Lumi, solo, 1girl, brown hair"
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
    assert caption(manifest, "screenshots~Lumi/odd") == "Lumi, solo, 1girl, blonde hair"
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


# --- core tags, chosen


def test_what_is_pruned_into_a_trigger_word_and_what_is_kept_can_be_said(build: Build) -> None:
    manifest = build(core_set())
    run(manifest, keep={"Lumi": "red_eyes"}, prune_tags={"Lumi": "smile"})
    assert caption(manifest, "fanart~Lumi/0") == "Lumi, solo, 1girl, red eyes"
    found = rows(manifest, "fanart~Lumi/0")
    assert found["smile"] == ("dropped", "core of Lumi: as asked")
    assert found["red eyes"][1].startswith("core of Lumi, kept as asked: in 6 of 6 images")
    run(manifest, core={"Lumi": "keep"})
    assert caption(manifest, "fanart~Lumi/0") == "Lumi, solo, 1girl, red eyes, smile, white hair"
    run(manifest, core={"*/Lumi": "none"})
    assert rows(manifest, "fanart~Lumi/0")["white hair"] == ("kept", "0.90 ≥ 0.50")
    run(manifest, prune="none", core={"Lumi": "prune"})
    assert caption(manifest, "fanart~Lumi/0") == "Lumi, solo, 1girl, smile"
    with pytest.raises(PrepError, match="Lumi is both to prune and to keep: smile"):
        run(manifest, keep={"Lumi": "smile"}, prune_tags={"Lumi": "smile"})


def test_nothing_is_pruned_for_styles_unless_they_are_no_styles(build: Build) -> None:
    manifest = build(
        {
            **{f"artists/alder/{number}": {**SOLO, "white hair": 0.9} for number in range(6)},
            **{f"fanart/Quill/{number}": SOLO for number in range(6)},
        }
    )
    run(manifest)
    assert caption(manifest, "artists~alder/0") == "alder, solo, 1girl, white hair"
    run(manifest, styles=())
    assert caption(manifest, "artists~alder/0") == "alder, solo, 1girl"


def test_two_trigger_words_of_one_person_are_one_person(build: Build) -> None:
    manifest = build(core_set())
    run(manifest, triggers={"Lumi": "lumi, white witch"})
    assert caption(manifest, "fanart~Lumi/0") == "lumi, white witch, solo, 1girl, smile"


# --- captions by a person, again


def test_a_caption_in_sentences_is_not_torn_at_its_commas(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": SOLO, "fanart/Lumi/b": SOLO})
    text = "A girl stands at the window, and it rains."
    text_of(manifest, "fanart~Lumi/a").write_text(text, encoding="utf-8")
    text_of(manifest, "fanart~Lumi/b").write_text(f"Lumi, {text}", encoding="utf-8")
    run(manifest)
    assert rows(manifest, "fanart~Lumi/a") == {text: ("kept", "manual caption")}
    assert rows(manifest, "fanart~Lumi/b") == {
        "Lumi": ("added", "trigger word"),
        text: ("kept", "manual caption"),
    }


def test_trigger_words_are_put_before_a_persons_caption_only_when_asked(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": SOLO, "fanart/Lumi/b": SOLO})
    text_of(manifest, "fanart~Lumi/a").write_text("a grin, 1girl", encoding="utf-8")
    text_of(manifest, "fanart~Lumi/b").write_text("Lumi, a grin", encoding="utf-8")
    run(manifest)
    found = manifest.decisions("caption")
    assert found["images/fanart~Lumi/a.png"].value == "a grin, 1girl"
    run(manifest, prefix=True)
    found = manifest.decisions("caption")
    assert found["images/fanart~Lumi/a.png"].value == "Lumi, a grin, 1girl"
    assert phrase(found["images/fanart~Lumi/a.png"]) == "manual caption, trigger words put in front"
    assert rows(manifest, "fanart~Lumi/a")["Lumi"] == ("added", "trigger word")
    assert found["images/fanart~Lumi/b.png"].value == "Lumi, a grin"
    assert text_of(manifest, "fanart~Lumi/a").read_text(encoding="utf-8") == "a grin, 1girl"


# --- several taggers


def test_several_taggers_speak_together(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": {**SOLO, "smile": 0.4}})
    other = Tagger("other", "1", "p", "CPUExecutionProvider", {"smile": "general", "1girl": "general"})
    with manifest.transaction():
        manifest.put_tagger(other)
        manifest.put_scores(other.id, {manifest.images()[0].content: {"1girl": 0.9, "smile": 0.9}})
        manifest.put_decisions(1, ("tagger",), [decided(".", "tagger", [TAGGER.id, other.id])])
    run(manifest)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, solo, 1girl, smile"
    found = rows(manifest, "fanart~Lumi/a")["smile"]
    assert found == ("kept", f"{TAGGER.id} 0.40 < 0.50, {other.id} 0.90 ≥ 0.35")
    run(manifest, tagger="miniature+other", combine="intersection")
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, solo, 1girl"
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
