"""Two tabs, or the desk and a command: whoever decides on what is not so any more is told, and nobody's edit is lost."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner
from desks import Served

from pipeline.cli.main import prep
from pipeline.store.caption_files import caption_file


def cells(desk: Served, numbers: list[int]) -> list[dict]:
    return desk.get(f"api/cells?ids={','.join(map(str, numbers))}")["cells"]


def stamps(desk: Served, numbers: list[int]) -> dict[str, str]:
    """What a tab that looks now has seen."""
    return {str(cell["id"]): cell["stamp"] for cell in cells(desk, numbers)}


def typed(*arguments: object) -> str:
    """What a command that must succeed prints."""
    result = CliRunner().invoke(prep, [str(each) for each in arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def three(desk) -> list[int]:
    return list(desk.ids("concept:characters verdict:kept").values())[:3]


@pytest.fixture
def paths(desk, three) -> list[str]:
    return [desk.desk.path_of(number) for number in three]


CHOICES = [{"keep": False}, {"caption": "mine"}, {"add": ["mine"]}, {"anchor": "top"}, {"repeats": 2}]


@pytest.mark.parametrize("theirs", CHOICES, ids=json.dumps)
@pytest.mark.parametrize("mine", CHOICES[:2], ids=json.dumps)
def test_any_choice_on_what_another_tab_changed_is_shown_and_not_written(desk, three, mine, theirs):
    number = three[0]
    seen = stamps(desk, [number])
    assert desk.post("decide", {"ids": [number], "choice": theirs, "seen": seen})[0] == 200
    before = desk.desk.read(lambda manifest: manifest.decisions_of(desk.desk.path_of(number)))
    status, answer = desk.post("decide", {"ids": [number], "choice": mine, "seen": seen})
    assert status == 409 and [row["id"] for row in answer["conflicts"]] == [number]
    assert "choose what is to hold" in answer["hint"]
    assert desk.desk.read(lambda manifest: manifest.decisions_of(desk.desk.path_of(number))) == before
    again = {str(number): answer["conflicts"][0]["stamp"]}
    assert desk.post("decide", {"ids": [number], "choice": mine, "seen": again})[0] == 200, "settled by the person"


def test_a_conflict_about_one_image_writes_nothing_about_the_others(desk, three):
    seen = stamps(desk, three)
    assert desk.post("decide", {"ids": three[1:2], "choice": {"keep": False}, "seen": seen})[0] == 200
    status, answer = desk.post("decide", {"ids": three, "choice": {"add": ["hat"]}, "seen": seen})
    assert status == 409 and [row["id"] for row in answer["conflicts"]] == three[1:2]
    assert not any("hat" in cell["tags"] for cell in cells(desk, three))
    seen[str(three[1])] = answer["conflicts"][0]["stamp"]
    assert desk.post("decide", {"ids": three, "choice": {"add": ["hat"]}, "seen": seen})[0] == 200
    assert all("hat" in cell["tags"] for cell in cells(desk, three))


def test_what_another_tab_did_to_another_image_is_no_conflict(desk, three):
    first, second, _ = three
    seen = stamps(desk, three)
    assert (
        desk.post("decide", {"ids": [first], "choice": {"keep": False}, "seen": {str(first): seen[str(first)]}})[0]
        == 200
    )
    mine = {"ids": [second], "choice": {"keep": False}, "seen": {str(second): seen[str(second)]}}
    assert desk.post("decide", mine)[0] == 200


def test_of_two_tabs_at_the_same_moment_one_is_written_and_one_is_told(desk, three):
    number = three[0]
    seen = stamps(desk, [number])
    captions = [f"tab {each}" for each in range(4)]
    sent = [{"ids": [number], "choice": {"caption": caption}, "seen": seen} for caption in captions]
    with ThreadPoolExecutor(4) as tabs:
        found = list(tabs.map(lambda document: desk.post("decide", document), sent))
    assert sorted(status for status, _ in found) == [200, 409, 409, 409]
    held = cells(desk, [number])[0]["caption"]
    won = captions[[status for status, _ in found].index(200)]
    assert held == won and all(won in answer["conflicts"][0]["theirs"] for status, answer in found if status == 409)


def test_tabs_that_edit_different_images_at_the_same_moment_lose_nothing(desk, root, three, paths):
    seen = stamps(desk, three)
    sent = [
        {"ids": [number], "choice": {"caption": f"of {number}"}, "seen": {str(number): seen[str(number)]}}
        for number in three
    ]
    with ThreadPoolExecutor(3) as tabs:
        assert [status for status, _ in tabs.map(lambda document: desk.post("decide", document), sent)] == [200] * 3
    assert [caption_file(root, path).read_text(encoding="utf-8") for path in paths] == [f"of {each}" for each in three]
    assert desk.get("api/version")["undo"] == 3


def test_a_caption_that_an_editor_saved_meanwhile_is_a_conflict(desk, root, three, paths):
    seen = stamps(desk, three[:1])
    caption_file(root, paths[0]).write_text("saved by an editor", encoding="utf-8")
    status, answer = desk.post("decide", {"ids": three[:1], "choice": {"caption": "mine"}, "seen": seen})
    assert caption_file(root, paths[0]).read_text(encoding="utf-8") == "saved by an editor"
    assert status == 409 and "saved by an editor" in answer["conflicts"][0]["theirs"]


def test_a_command_that_edited_tags_meanwhile_is_a_conflict(desk, root, three, paths):
    seen = stamps(desk, three[:1])
    typed("tags", "add", root, "red scarf", "--all")
    status, answer = desk.post("decide", {"ids": three[:1], "choice": {"caption": "mine"}, "seen": seen})
    assert status == 409 and "red scarf" in answer["conflicts"][0]["theirs"]


def test_a_run_that_changed_nothing_about_an_image_is_no_conflict(desk, root, three):
    seen = stamps(desk, three[:1])
    typed("check", root, "--force")
    assert desk.post("decide", {"ids": three[:1], "choice": {"keep": False}, "seen": seen})[0] == 200


def test_the_log_says_what_was_decided_and_the_command_takes_it_back(desk, root, three, paths):
    before = desk.desk.read(lambda manifest: manifest.decisions_of(paths[0]))
    status, answer = desk.post("decide", {"ids": three[:1], "choice": {"keep": False}})
    assert status == 200
    log = json.loads(typed("log", root, "--json"))
    runs = log["runs"] if isinstance(log, dict) else log
    assert any(run["stage"] == "review" for run in runs)
    typed("undo", root, answer["run"])
    assert desk.desk.read(lambda manifest: manifest.decisions_of(paths[0])) == before
    assert cells(desk, three[:1])[0]["kept"] is True, "and the desk sees it"


def test_what_a_command_took_back_is_not_taken_back_again_by_the_desk(desk, root, three):
    first = desk.post("decide", {"ids": three[:1], "choice": {"keep": False}})[1]["run"]
    second = desk.post("decide", {"ids": three[1:2], "choice": {"keep": False}})[1]["run"]
    typed("undo", root, second)
    status, answer = desk.post("undo", {})
    assert status == 200 and f"run {first}" in answer["words"], answer
    assert [cell["kept"] for cell in cells(desk, three[:2])] == [True, True]


def test_a_new_decision_ends_what_can_be_done_again(desk, three):
    desk.post("decide", {"ids": three[:1], "choice": {"keep": False}})
    desk.post("undo", {})
    assert desk.get("api/version")["redo"] == 1
    desk.post("decide", {"ids": three[1:2], "choice": {"keep": False}})
    status, answer = desk.post("redo", {})
    assert status == 400 and "nothing to redo" in answer["error"]
    assert cells(desk, three[:1])[0]["kept"] is True


def test_what_a_command_brought_back_is_not_done_again_by_the_desk(desk, root, three):
    desk.post("decide", {"ids": three[:1], "choice": {"keep": False}})
    undone = desk.post("undo", {})[1]["run"]
    typed("undo", root, undone)
    assert cells(desk, three[:1])[0]["kept"] is False
    status, answer = desk.post("redo", {})
    assert status == 400 and "nothing to redo" in answer["error"], answer


def test_two_tabs_that_undo_at_the_same_moment_take_back_two_decisions(desk, three):
    for number in three[:2]:
        assert desk.post("decide", {"ids": [number], "choice": {"keep": False}})[0] == 200
    with ThreadPoolExecutor(2) as tabs:
        assert [status for status, _ in tabs.map(lambda _: desk.post("undo", {}), range(2))] == [200, 200]
    assert [cell["kept"] for cell in cells(desk, three[:2])] == [True, True]
    assert desk.get("api/version")["undo"] == 0 and desk.get("api/version")["redo"] == 2


def test_undoing_leaves_a_caption_that_an_editor_saved_since(desk, root, three, paths):
    assert desk.post("decide", {"ids": three[:1], "choice": {"caption": "mine"}})[0] == 200
    caption_file(root, paths[0]).write_text("saved by an editor", encoding="utf-8")
    _, answer = desk.post("undo", {})
    assert caption_file(root, paths[0]).read_text(encoding="utf-8") == "saved by an editor", answer
