"""`prep tags add`, `remove`, `rename`: captions, rows and files change at once, and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from edited_sets import ONE, caption, image_of, put_set, rows, text_file
from painted_sets import quiet

from pipeline.cli.commands.tags.group import command
from pipeline.core.errors import PrepError
from pipeline.stages import curate
from pipeline.store.history.undo import find as find_run
from pipeline.store.history.undo import undo
from pipeline.store.manifest import Manifest
from pipeline.store.running.runner import run_stage
from pipeline.store.wording import figures, phrase


def test_edits_change_captions_rows_and_files_at_once(ask: Callable[..., Result], curated: Manifest) -> None:
    ask("remove", "smile", "--concept", "people/Lumi")
    ask("add", "anime screenshot", "--image", "Lumi/a")
    ask("replace", "witch_hat", "to", "red hat", "--with", "witch hat")
    assert caption(curated, "people/Lumi/a") == "Lumi, 1girl, solo, red hat, <o>_<o>, anime screenshot"
    assert caption(curated, "people/Lumi/b") == "Lumi, 1girl, solo"
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
    assert caption(curated, "people/Lumi/b") == "Lumi, 1girl, solo, smile"
    assert rows(curated, "people/Lumi/b")["smile"] == ("kept", "restored by you")
    ask("add", "grin", "--image", "Lumi/b")
    ask("remove", "grin", "--image", "Lumi/b")
    assert "manual_edits" not in values_of(curated, "people/Lumi/b") and "grin" not in rows(curated, "people/Lumi/b")


def test_a_dry_run_shows_words_and_writes_nothing(ask: Callable[..., Result], curated: Manifest) -> None:
    before, runs = state(curated), len(curated.runs())
    result = ask("remove", "smile", "--all", "--dry-run")
    assert "images/people~Lumi/a.png\n    Lumi, 1girl, solo, [-smile, -]witch hat, <o>_<o>\n" in result.stdout
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
    assert caption(curated, "people/Lumi/b") == "Lumi, 1girl, solo, grin, red hat"
    assert caption(curated, "people/Lumi/c") == "Lumi, 1girl, solo, red boots, red hat"
