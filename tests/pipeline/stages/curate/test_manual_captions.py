"""What a person wrote wins over every rule, and a kill takes nothing for a person's."""

from __future__ import annotations

from pathlib import Path

import pytest
from painted_sets import quiet
from scored_sets import SOLO, Build, caption, rows, run, text_of

from pipeline.stages import curate
from pipeline.store.running.runner import preview_stage
from pipeline.store.wording import phrase

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
    assert caption(manifest, "fanart~Lumi/b") == "Lumi, 1girl, solo"


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
    assert caption(manifest, "fanart~Lumi/b") == "Lumi, 1girl, solo", "an empty file says nothing"


def test_deleting_the_file_or_restoring_preps_own_text_gives_it_back_to_prep(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": SOLO, "fanart/Lumi/b": SOLO})
    run(manifest)
    for name in "ab":
        text_of(manifest, f"fanart~Lumi/{name}").write_text("mine", encoding="utf-8")
    run(manifest)
    text_of(manifest, "fanart~Lumi/a").unlink()
    text_of(manifest, "fanart~Lumi/b").write_text("Lumi, 1girl, solo\n", encoding="utf-8")
    run(manifest)
    assert caption(manifest, "fanart~Lumi/a") == caption(manifest, "fanart~Lumi/b") == "Lumi, 1girl, solo"
    assert not manifest.manual_captions()


def test_a_caption_that_vanished_is_written_again(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": SOLO})
    run(manifest)
    text_of(manifest, "fanart~Lumi/a").unlink()
    run(manifest)
    assert caption(manifest, "fanart~Lumi/a") == "Lumi, 1girl, solo"


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
    assert caption(manifest, "fanart~Lumi/a") == caption(manifest, "fanart~Lumi/b") == "Lumi, 1girl, solo, smile"
    assert not manifest.manual_captions()


def test_a_preview_writes_no_caption(build: Build) -> None:
    manifest = build({"fanart/Lumi/a": SOLO})
    plan = preview_stage(manifest, curate.STAGE, curate.Options(), quiet)
    assert [decision.field for decision in plan.decisions] == ["caption", "tags"]
    assert not text_of(manifest, "fanart~Lumi/a").exists() and not manifest.decisions("caption")


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
