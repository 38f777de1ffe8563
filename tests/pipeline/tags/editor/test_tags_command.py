"""`prep tags` answers from the captions that hold, and its edits are recorded, survive and can be taken back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from decided import decided
from painted_sets import quiet

from pipeline.cli.commands.tags.group import command
from pipeline.core.errors import PrepError
from pipeline.stages import curate
from pipeline.store.caption_files import captions
from pipeline.store.history.undo import find as find_run
from pipeline.store.history.undo import undo
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.check import CheckReason
from pipeline.store.records import Decision, Image, Tagger
from pipeline.store.running.runner import run_stage
from pipeline.store.values.contradiction import Contradiction
from pipeline.store.values.repeats import Repeats
from pipeline.store.wording import figures, phrase

LABELS = ("1girl", "solo", "smile", "grin", "hat", "witch hat", "boots", "long hair", "<o>_<o>", "wariza")
TAGGER = Tagger("t", "1", "p", "CPU", {**dict.fromkeys(LABELS, "general"), "general": "rating"})
ONE = {"1girl": 0.99, "solo": 0.98, "general": 0.9}
IMAGES: dict[str, dict[str, float] | None] = {
    "people/Lumi/a": {**ONE, "smile": 0.9, "hat": 0.8, "witch hat": 0.9, "<o>_<o>": 0.7},
    "people/Lumi/b": {**ONE, "smile": 0.8, "grin": 0.2, "wariza": 0.04},
    "people/Lumi/c": {**ONE, "boots": 0.9},
    "people/Quill/a": {**ONE, "smile": 0.6},
    "people/Quill/written": {**ONE, "boots": 0.9},
}
WRITTEN = "\ufeffquill,  Smile ,a red Hat, long_hair\r\n"


def put_set(root: Path, imgs: dict[str, dict[str, float] | None]) -> Manifest:
    manifest = Manifest.open(root, create=True)
    with manifest.transaction():
        images = [(image_of(path), scores) for path, scores in imgs.items()]
        manifest.put_images(image for image, _ in images)
        manifest.put_tagger(TAGGER)
        manifest.put_scores(TAGGER.id, {image.content: scores for image, scores in images if scores is not None})
    for image, _ in images:
        (root / image.path).parent.mkdir(parents=True, exist_ok=True)
    return manifest


def image_of(path: str) -> Image:
    concept, _, name = path.rpartition("/")
    content = hashlib.sha256(path.encode()).hexdigest()
    return Image(f"images/{concept.replace('/', '~')}/{name}.png", concept, f"/src/{path}", content, 1, "copy")


@pytest.fixture
def curated(tmp_path: Path) -> Manifest:
    """A curated set of two characters; one caption of five was written by a person."""
    manifest = put_set(tmp_path / "set", IMAGES)
    text_file(manifest, "people/Quill/written").write_bytes(WRITTEN.encode())
    run_stage(manifest, curate.STAGE, curate.Options(prune="none", general=0.5), quiet)
    return manifest


def text_file(manifest: Manifest, path: str) -> Path:
    return (manifest.root / image_of(path).path).with_suffix(".txt")


def caption(manifest: Manifest, path: str) -> str:
    """The caption that holds, which is also what stands beside the image."""
    text = captions(manifest)[image_of(path).path]
    assert text_file(manifest, path).read_bytes().decode().removeprefix("\ufeff").strip() == text
    return text


def rows(manifest: Manifest, path: str) -> dict[str, tuple[str, str]]:
    return {row.tag: (row.action, phrase(row)) for row in manifest.decisions("tags")[image_of(path).path].value}


@pytest.fixture
def ask(curated: Manifest) -> Callable[..., Result]:
    """Run `prep tags SUBCOMMAND SET …`; a failure that a person can mend is raised."""

    def invoke(name: str, *arguments: Any) -> Result:
        result = CliRunner().invoke(command, [name, str(curated.root), *map(str, arguments)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def answer(ask: Callable[..., Result]) -> Callable[..., Any]:
    """The JSON document that an answer is."""

    def invoke(name: str, *arguments: Any) -> Any:
        result = ask(name, *arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return invoke


# --- questions


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
    assert [{row["tag"], row["beside"]} for row in every if {row["tag"], row["beside"]} <= {"solo", "1girl"}] == [
        {"solo", "1girl"}
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
        ("Lumi/a", "hat", False, "dropped: implied by witch hat"),
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


# --- edits


def test_edits_change_captions_rows_and_files_at_once(ask: Callable[..., Result], curated: Manifest) -> None:
    ask("remove", "smile", "--concept", "people/Lumi")
    ask("add", "anime screenshot", "--image", "Lumi/a")
    ask("replace", "witch_hat", "to", "red hat", "--with", "witch hat")
    assert caption(curated, "people/Lumi/a") == "Lumi, solo, 1girl, red hat, <o>_<o>, anime screenshot"
    assert caption(curated, "people/Lumi/b") == "Lumi, solo, 1girl"
    found = rows(curated, "people/Lumi/a")
    assert found["smile"] == ("dropped", "removed by you")
    assert found["anime screenshot"] == ("added", "added by you")
    assert found["witch hat"] == ("renamed", "to red hat: replaced by you")
    assert found["red hat"] == ("added", "from witch hat: replaced by you")
    manual_edits = curated.decisions("manual_edits")[image_of("people/Lumi/a").path]
    assert manual_edits.value == [["remove", "smile"], ["add", "anime screenshot"], ["replace", "witch hat", "red hat"]]
    assert phrase(manual_edits) == "edited with prep tags"
    assert figures(manual_edits) == "-smile, +anime screenshot, witch hat → red hat"
    later = curated.decisions("manual_edits")[image_of("people/Lumi/c").path]
    assert later.value == [["remove", "smile"]], "it holds for a later caption that would have it"


def test_a_persons_caption_keeps_its_other_words_byte_for_byte(ask: Callable[..., Result], curated: Manifest) -> None:
    path = "people/Quill/written"
    ask("remove", "smile", "--image", "written")
    assert text_file(curated, path).read_bytes() == "\ufeffquill,a red Hat, long_hair\r\n".encode()
    ask("replace", "long hair", "to", "very long hair", "--image", "written")
    ask("add", "wariza", "--image", "written")
    text = "\ufeffquill,a red Hat, very long hair,wariza\r\n"
    assert text_file(curated, path).read_bytes() == text.encode()
    assert curated.manual_captions()[image_of(path).path] == text and "manual_edits" not in values_of(curated, path)
    assert values_of(curated, path)["caption"] == text.removeprefix("\ufeff").strip()
    assert rows(curated, path)["wariza"] == ("kept", "manual caption")
    assert "smile" not in rows(curated, path) and "Smile" not in rows(curated, path)
    ask("list")
    assert curated.runs()[-1].stage == "tags", "what prep wrote is not taken for another edit"


def test_a_tag_that_a_person_wrote_another_way_is_put_right(ask: Callable[..., Result], curated: Manifest) -> None:
    ask("replace", "long_hair", "to", "long hair", "--all")
    assert caption(curated, "people/Quill/written") == "quill,  Smile ,a red Hat, long hair"
    assert not curated.decisions("manual_edits")


def values_of(manifest: Manifest, path: str) -> dict[str, Any]:
    return {row.field: row.value for row in manifest.decisions_of(image_of(path).path)}


def state(manifest: Manifest) -> Any:
    columns = "path, field, value, reason, evidence"
    files = {file.name: file.read_bytes() for file in sorted(manifest.root.rglob("images/*/*.txt"))}
    return sorted(manifest._db.execute(f"SELECT {columns} FROM decisions")), files


@pytest.mark.parametrize(
    "arguments",
    [("add", "grin", "--all"), ("remove", "smile", "--all"), ("replace", "smile", "boots", "to", "grin", "--all")],
)
def test_an_edit_can_be_undone_and_brought_back_exactly(
    ask: Callable[..., Result], curated: Manifest, arguments: tuple[str, ...]
) -> None:
    before = state(curated)
    ask(*arguments)
    after = state(curated)
    assert after[0] != before[0] and after[1] != before[1]
    run = curated.runs()[-1]
    assert run.stage == "tags" and run.finished and run.options["images"] == 5
    undone = undo(curated, run)
    assert state(curated) == before
    undo(curated, find_run(curated, undone.by))
    assert state(curated) == after


def test_adding_back_what_was_removed_takes_the_edit_back(ask: Callable[..., Result], curated: Manifest) -> None:
    ask("remove", "smile", "--image", "Lumi/b")
    ask("add", "smile", "--image", "Lumi/b")
    assert "manual_edits" not in values_of(curated, "people/Lumi/b")
    assert caption(curated, "people/Lumi/b") == "Lumi, solo, 1girl, smile"
    assert rows(curated, "people/Lumi/b")["smile"] == ("kept", "restored by you")
    ask("add", "grin", "--image", "Lumi/b")
    ask("remove", "grin", "--image", "Lumi/b")
    assert "manual_edits" not in values_of(curated, "people/Lumi/b") and "grin" not in rows(curated, "people/Lumi/b")


def test_a_dry_run_shows_words_and_writes_nothing(ask: Callable[..., Result], curated: Manifest) -> None:
    before, runs = state(curated), len(curated.runs())
    result = ask("remove", "smile", "--all", "--dry-run")
    assert "images/people~Lumi/a.png\n    Lumi, solo, 1girl, [-smile, -]witch hat, <o>_<o>\n" in result.stdout
    assert "images/people~Quill/written.png (manual)\n    quill[-,  Smile -],a red Hat, long_hair\n" in result.stdout
    assert "nothing was written" in result.stderr and "caption changed" in result.stdout
    assert (state(curated), len(curated.runs())) == (before, runs)


def test_what_is_so_already_makes_no_run(ask: Callable[..., Result], curated: Manifest, answer: Any) -> None:
    ask("remove", "wariza", "--image", "Lumi/b")
    runs = len(curated.runs())
    result = ask("remove", "wariza", "--image", "Lumi/b")
    assert "nothing to do: no caption would change" in result.stderr and len(curated.runs()) == runs
    assert answer("remove", "wariza", "--image", "Lumi/b")["counts"] == {"as_it_was": 1}


def test_every_image_is_edited_only_when_that_is_said(ask: Callable[..., Result]) -> None:
    result = ask("remove", "smile")
    assert result.exit_code == 2 and "or --all for every one" in result.stderr
    result = ask("replace", "smile", "grin", "--all")
    assert result.exit_code == 2 and "prep tags replace SET boots to shoes" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("remove", "lumi", "--all"), "Lumi is a trigger word of 3 of these images", "change [curate] triggers"),
        (("remove", "smlie", "--all"), "no tag of this set is called smlie", "near it are: smile"),
        (("replace", "smile", "to", "a, b", "--all"), "'a, b' is not one tag", "give one tag, without commas"),
        (("add", ",", "--all"), "no tag is given", "give one tag, without commas"),
        (("add", "grin", "--with", "grin"), "no kept image matches", "prep tags find"),
    ],
)
def test_an_edit_that_cannot_be_meant_is_refused_before_anything_changes(
    ask: Callable[..., Result], curated: Manifest, arguments: tuple[str, ...], message: str, hint: str
) -> None:
    before = state(curated)
    with pytest.raises(PrepError) as caught:
        ask(*arguments)
    assert message in caught.value.message and hint in caught.value.hint and state(curated) == before


def test_a_caption_file_that_cannot_be_read_is_left_alone(
    ask: Callable[..., Result], curated: Manifest, answer: Any
) -> None:
    text_file(curated, "people/Lumi/c").write_bytes(b"\xff\xfe")
    assert answer("add", "grin", "--image", "Lumi/c")["counts"] == {"not_utf8": 1}
    assert text_file(curated, "people/Lumi/c").read_bytes() == b"\xff\xfe"
    assert "is not UTF-8" in answer("why", "Lumi/c", "grin")["because"]


def test_an_image_without_a_caption_is_edited_for_when_it_has_one(tmp_path: Path) -> None:
    manifest = put_set(tmp_path / "new", {"x/a": ONE})
    result = CliRunner().invoke(command, ["add", str(manifest.root), "grin", "--all", "--json"])
    assert json.loads(result.stdout)["counts"] == {"no_caption_yet": 1}
    assert manifest.decisions("manual_edits")["images/x/a.png"].value == [["add", "grin"]]


def test_an_edit_survives_every_later_curation_and_freezes_nothing(
    ask: Callable[..., Result], curated: Manifest
) -> None:
    ask("remove", "smile", "--concept", "people/Lumi")
    ask("add", "red hat", "--concept", "people/Lumi")
    ask("replace", "boots", "to", "red boots", "--concept", "people/Lumi")
    before = state(curated)
    run_stage(curated, curate.STAGE, curate.Options(prune="none", general=0.5), quiet)
    assert state(curated) == before, "what an edit does at once is what curation does with it"
    run_stage(curated, curate.STAGE, curate.Options(prune="none", general=0.15), quiet)
    assert caption(curated, "people/Lumi/b") == "Lumi, solo, 1girl, grin, red hat"
    assert caption(curated, "people/Lumi/c") == "Lumi, solo, 1girl, red boots, red hat"
