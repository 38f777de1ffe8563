"""`prep tags` answers questions from the rows that are there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from click.testing import Result
from decided import decided
from edited_sets import image_of, text_file

from pipeline.core.errors import PrepError
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.check import CheckReason
from pipeline.store.records import Decision
from pipeline.store.values.contradiction import Contradiction
from pipeline.store.values.repeats import Repeats


def test_tags_are_counted_over_captions_and_in_each_concept(answer: Callable[..., Any]) -> None:
    document = answer("list")
    counts = {row["tag"]: (row["images"], row["share"], row["category"]) for row in document["rows"]}
    assert document["images"] == 5
    assert counts["smile"] == (3, 0.6, "general") and counts["Lumi"] == (3, 0.6, "") and counts["Smile"][0] == 1
    assert "hat" not in counts and counts["witch hat"][0] == 1
    by_concept = answer("list", "--by-concept", "--concept", "people/Quill")["rows"]
    assert {(row["concept"], row["tag"], row["images"]) for row in by_concept} >= {
        ("people/Quill", "smile", 1),
        ("people/Quill", "quill", 1),
    }
    assert answer("list", "--with", "Smile", "--limit", "1")["left_off"] > 0
    assert next(row["images"] for row in answer("list", "--rare")["rows"]) == 1


def test_what_was_considered_is_counted_by_what_became_of_it(answer: Callable[..., Any]) -> None:
    found = {row["tag"]: row for row in answer("list", "--considered")["rows"]}
    assert (found["hat"]["dropped"], found["hat"]["considered"]) == (1, 1)
    assert (found["smile"]["kept"], found["Lumi"]["added"]) == (3, 3)


def test_pairs_have_both_probabilities_and_lift_worked_by_hand(answer: Callable[..., Any]) -> None:
    beside = {row["beside"]: row for row in answer("pairs", "smile")["rows"]}
    assert beside["witch hat"] == {
        "tag": "smile",
        "beside": "witch hat",
        "both": 1,
        "P(beside|tag)": round(1 / 3, 4),
        "P(tag|beside)": 1.0,
        "lift": round(1 * 5 / (3 * 1), 4),
    }
    every = answer("pairs", "--at-least", "3")["rows"]
    assert [{row["tag"], row["beside"]} for row in every if {row["tag"], row["beside"]} <= {"1girl", "solo"}] == [
        {"1girl", "solo"}
    ], "each pair once"


def test_images_are_found_by_tags_they_have_and_lack_with_scores(answer: Callable[..., Any], ask: Any) -> None:
    rows = answer("find", "smile", "--without", "witch hat", "--concept", "people/Lumi")["rows"]
    assert [(row["image"], row["scores"]) for row in rows] == [
        ("images/people~Lumi/b.png", {"smile": 0.8, "witch hat": None})
    ]
    assert answer("find", "SMILE, <o>_<o>")["rows"][0]["image"] == "images/people~Lumi/a.png"
    assert len(answer("find", "--without", "smile")["rows"]) == 1, "Smile is the same tag, written by a person"
    assert "no tag of this set is called smlie; near it are smile" in ask("find", "smlie").stderr


@pytest.mark.parametrize(
    ("image", "tag", "there", "because"),
    [
        ("Lumi/a", "smile", True, "kept: 0.90 ≥ 0.50"),
        ("Lumi/a", "hat", False, "dropped: implied by witch hat: witch hat → hat (Danbooru)"),
        ("Lumi/a", "Lumi", True, "added: trigger word"),
        ("Lumi/b", "grin", False, "dropped: below its threshold: 0.20 < 0.50"),
        ("Lumi/b", "wariza", False, "never considered: its score 0.04 is below the floor 0.10 (its threshold is 0.50)"),
        ("Lumi/b", "long_hair", False, "never considered: its score is below 0.01, the lowest that is stored"),
        ("Lumi/b", "general", False, "a rating: captions have none unless asked, and then the most probable"),
        ("Lumi/b", "wich hat", False, "never considered: t@1/p knows no such tag; near it are witch hat"),
        ("Quill/written", "smile", True, "manual caption"),
        (
            "Quill/written",
            "boots",
            False,
            "a person wrote this caption and left it out; by its scores: its score is 0.90 (its threshold is 0.50)",
        ),
    ],
)
def test_one_answer_says_why_a_tag_is_in_a_caption_or_not(
    answer: Callable[..., Any], image: str, tag: str, there: bool, because: str
) -> None:
    reported = answer("why", image, tag)
    assert (reported["in_caption"], reported["because"]) == (there, because)


def test_the_answer_in_words_shows_rows_scores_and_edits(ask: Callable[..., Result], curated: Manifest) -> None:
    ask("remove", "smile", "--image", "Lumi/a")
    text = ask("why", "Lumi/a", "smile").stdout
    assert "smile: not in the caption of images/people~Lumi/a.png" in text
    assert "because     dropped: removed by you" in text
    assert "score       0.90, its threshold is 0.50 (t@1/p)" in text and "your edit   remove smile" in text
    assert "below its threshold: 0.20 < 0.50" in ask("why", "Lumi/b").stdout
    with curated.transaction():
        curated.put_rows(9, [Decision(image_of("people/Lumi/b").path, "keep", False, CheckReason.TOO_SMALL)], [])
        curated.put_rows(9, [], [(image_of("people/Lumi/b").path, field) for field in ("tags", "caption")])
    assert "left out by check: too small" in ask("why", "Lumi/b", "smile").stdout


def test_an_image_that_is_not_named_exactly_is_asked_for(ask: Callable[..., Result]) -> None:
    with pytest.raises(PrepError, match=r"3 images match 'Lumi':\nimages/people~Lumi/a.png"):
        ask("why", "Lumi", "smile")
    with pytest.raises(PrepError, match="0 images match 'nobody'"):
        ask("why", "nobody", "smile")


def test_rules_are_counted_with_examples(answer: Callable[..., Any]) -> None:
    found = {(row["action"], row["rule"]): row for row in answer("rules")["rows"]}
    assert found["kept", "reached its threshold"]["times"] == 14
    assert found["dropped", "implied by another tag"]["examples"] == "hat"
    assert found["dropped", "below its threshold"]["times"] == 1
    assert found["added", "trigger word"]["images"] == 5
    assert found["kept", "manual caption"]["such as"] == "images/people~Quill/written.png"


def test_coverage_counts_repeats_and_gives_a_verdict(answer: Callable[..., Any], curated: Manifest) -> None:
    with curated.transaction():
        put = [decided(image_of("people/Lumi/c").path, "repeats", Repeats(97.0, 97))]
        curated.put_rows(9, put)
    found = {
        row["tag"]: row for row in answer("coverage", "--concept", "people/Lumi", "--few", "2", "--limit", "0")["rows"]
    }
    assert found["Lumi"]["verdict"] == "trigger word: always present, as it should be"
    assert found["1girl"]["verdict"] == "never absent: no example without it"
    assert found["boots"]["verdict"] == "too few to learn"
    smile = found["smile"]
    assert (smile["present"], smile["absent"], smile["exposures present"], smile["exposures absent"]) == (
        2,
        1,
        2.0,
        97.0,
    )
    assert smile["share"] == round(2 / 99, 4) and smile["verdict"] == "balanced: promptable"
    few = answer("coverage", "--verdict", "few", "--concept", "people/Lumi", "--few", "2")["rows"]
    assert {row["tag"] for row in few} == {"boots", "witch hat", "<o>_<o>"}
    always = answer("coverage", "--tag", "boots", "--few", "1", "--always", "0.9")["rows"]
    assert [row["verdict"] for row in always] == ["always present: learned with its trigger word"]


def test_contradictions_are_listed_by_attribute(answer: Callable[..., Any], curated: Manifest) -> None:
    hair = Contradiction("hair colour", "blonde hair", "brown hair", 0.4, None, "replace", "Lumi", 4, 5)
    with curated.transaction():
        path = image_of("people/Lumi/a").path
        curated.put_rows(9, [decided(path, "contradictions", (hair, replace(hair, attribute="skin")))])
    reported = {"dominant": "blonde hair", "rival": "brown hair", "score": 0.4, "dominant_score": None}
    assert answer("contradictions", "--attribute", "skin")["rows"] == [
        {"image": path, "concept": "people/Lumi", "attribute": "skin", **reported}
        | {"share": 0.8, "fix": "replace", "fixed": False}
    ]
    assert answer("contradictions", "--concept", "people/Quill")["rows"] == []


def test_fixing_contradictions_is_proposed_until_they_are_fixed(ask: Callable[..., Result], curated: Manifest) -> None:
    hair = Contradiction("hair colour", "blonde hair", "brown hair", 0.4, None, "replace", "Lumi", 4, 5)
    for fixed, proposed in ((False, True), (True, False)):
        with curated.transaction():
            row = decided(image_of("people/Lumi/a").path, "contradictions", (replace(hair, fixed=fixed),))
            curated.put_rows(9, [row])
        result = ask("contradictions")
        assert ("--contradictions fix" in result.stdout + result.stderr) is proposed


def test_misspelt_tags_and_trigger_words_are_listed(answer: Callable[..., Any], curated: Manifest) -> None:
    text_file(curated, "people/Quill/written").write_text(
        "Qiull, witchhat, smlie, boot, a coined tag", encoding="utf-8"
    )
    found = {row["tag"]: (row["meant"], row["why"]) for row in answer("spelling")["rows"]}
    assert found == {
        "Qiull": ("Quill", "nearly a trigger word"),
        "witchhat": ("witch hat", "written another way"),
        "smlie": ("smile", "nearly a known tag"),
        "boot": ("boots", "nearly a known tag"),
    }


def test_an_unknown_concept_or_image_is_reported_with_what_there_is(ask: Callable[..., Result]) -> None:
    with pytest.raises(PrepError, match="no kept image is of the concept 'Lumi'") as caught:
        ask("list", "--concept", "Lumi")
    assert caught.value.hint == "give the whole path of a concept, such as: people/Lumi"
    with pytest.raises(PrepError, match="no kept image matches 'x'"):
        ask("list", "--image", "x")
    assert ask("list", "--concept", "people~Lumi").exit_code == 0, "as folders of the set are called"
