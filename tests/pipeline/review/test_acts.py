"""What is decided at the desk is a run of the record: kept by later runs, undone and redone, never over what was not seen."""

import threading
import tomllib
from pathlib import Path

import pytest
from desks import Served, run

from pipeline.store.caption_files import caption_file
from pipeline.store.lock import lock
from pipeline.store.manifest import Manifest


def decision(desk: Served, path: str, field: str):
    return desk.desk.read(lambda manifest: {row.field: row for row in manifest.decisions_of(path)}.get(field))


def decide(desk: Served, path: str, choice: dict, **more):
    status, answer = desk.post("decide", {"ids": [desk.ids()[path]], "choice": choice, **more})
    assert status == 200, answer
    return answer


@pytest.fixture
def path(desk) -> str:
    """A kept image of the set."""
    return next(path for path in desk.ids("concept:characters verdict:kept"))


def test_a_dropped_image_stays_dropped_when_check_runs_again(desk, root, path):
    answer = decide(desk, path, {"keep": False})
    assert answer["run"] and decision(desk, path, "keep").value is False
    assert decision(desk, path, "manual_keep").value is False
    run("check", root)
    assert decision(desk, path, "keep").reason.value == "excluded_by_user"
    assert run("check", root)["fresh"], "and a second time there is nothing to do"
    decide(desk, path, {"keep": None})
    assert decision(desk, path, "keep").value is True and decision(desk, path, "manual_keep") is None


def test_a_tiny_image_is_kept_by_a_person_and_a_broken_one_is_not(desk, root):
    (tiny,) = desk.ids("reason:too_small")
    decide(desk, tiny, {"keep": True})
    run("check", root)
    assert decision(desk, tiny, "keep").value is True and decision(desk, tiny, "keep").reason.value == "kept_by_user"
    (root / tiny).write_bytes(b"\x89PNG\r\n\x1a\n cut")
    run("check", root)
    assert decision(desk, tiny, "keep").value is False


def test_a_crop_anchor_moves_the_crop_at_once_and_bucket_keeps_to_it(desk, root, path):
    decide(desk, path, {"anchor": "top"})
    assert decision(desk, path, "bucket").value.anchor == "top"
    run("bucket", root)
    assert decision(desk, path, "bucket").value.anchor == "top"
    status, answer = desk.post("decide", {"ids": [desk.ids()[path]], "choice": {"anchor": "sideways"}})
    assert status == 400 and "sideways" in answer["error"] and "subject" in answer["hint"]


def test_repeats_are_kept_by_balance(desk, root, path):
    decide(desk, path, {"repeats": 3})
    assert float(decision(desk, path, "repeats").value.exact) == 3
    run("balance", root)
    assert float(decision(desk, path, "repeats").value.exact) == 3
    assert decision(desk, path, "repeats").reason.value == "repeats_chosen"
    decide(desk, path, {"repeats": None})
    assert decision(desk, path, "repeats").reason.value == "share_of_concept"


def test_a_caption_is_written_to_disk_and_given_back_to_curation(desk, root, path):
    before = caption_file(root, path).read_text(encoding="utf-8")
    decide(desk, path, {"caption": "by hand, <b>"})
    assert caption_file(root, path).read_text(encoding="utf-8") == "by hand, <b>"
    run("curate", root)
    assert caption_file(root, path).read_text(encoding="utf-8") == "by hand, <b>"
    decide(desk, path, {"caption": None})
    assert caption_file(root, path).read_text(encoding="utf-8") == before


def test_tags_are_added_and_removed_and_stay_so(desk, root, path):
    decide(desk, path, {"add": ["red scarf"]})
    run("curate", root)
    assert "red scarf" in caption_file(root, path).read_text(encoding="utf-8")
    decide(desk, path, {"remove": ["red scarf"]})
    assert "red scarf" not in caption_file(root, path).read_text(encoding="utf-8")


def test_a_trigger_word_is_not_taken_away_and_nothing_is_written(desk, path):
    number = desk.ids()[path]
    runs = desk.desk.read(lambda manifest: len(manifest.runs()))
    status, answer = desk.post("decide", {"ids": [number], "choice": {"remove": ["Lumi"]}})
    assert status == 400 and "trigger word" in answer["error"]
    assert desk.desk.read(lambda manifest: len(manifest.runs())) == runs


def test_undo_and_redo_bring_back_what_was_there_before(desk, root, path):
    before = desk.desk.read(lambda manifest: manifest.decisions_of(path))
    decide(desk, path, {"add": ["red scarf"]})
    decide(desk, path, {"keep": False})
    after = desk.desk.read(lambda manifest: manifest.decisions_of(path))
    for _ in range(2):
        status, answer = desk.post("undo", {})
        assert status == 200, answer
    assert desk.desk.read(lambda manifest: manifest.decisions_of(path)) == before
    assert "red scarf" not in caption_file(root, path).read_text(encoding="utf-8")
    assert desk.post("undo", {})[0] == 400, "nothing is left"
    for _ in range(2):
        assert desk.post("redo", {})[0] == 200
    assert desk.desk.read(lambda manifest: manifest.decisions_of(path)) == after
    assert "red scarf" in caption_file(root, path).read_text(encoding="utf-8")


def test_what_holds_already_is_no_run(desk, path):
    assert decide(desk, path, {"anchor": "top"})["run"] > 0
    again = decide(desk, path, {"anchor": "top"})
    assert again["run"] == 0 and "holds already" in again["words"]


def test_two_tabs_lose_nothing(desk, path):
    number = desk.ids()[path]
    (cell,) = desk.get(f"api/cells?ids={number}")["cells"]
    seen = {str(number): cell["stamp"]}
    assert decide(desk, path, {"add": ["first"]}, seen=seen)["run"]
    status, answer = desk.post("decide", {"ids": [number], "choice": {"keep": False}, "seen": seen})
    assert status == 409
    (row,) = answer["conflicts"]
    assert row["path"] == path and "first" in row["theirs"] and "dropped" in row["yours"]
    assert decision(desk, path, "keep").value is True, "nothing was written"
    status, _ = desk.post("decide", {"ids": [number], "choice": {"keep": False}, "seen": {str(number): row["stamp"]}})
    assert status == 200 and decision(desk, path, "keep").value is False


def test_a_command_at_work_is_waited_for_and_named(desk, root, path, monkeypatch):
    monkeypatch.setattr("pipeline.review.desk.PATIENCE", 0.2)
    with lock(root, "train"):
        assert desk.get("api/version")["busy"].startswith("prep train")
        status, answer = desk.post("decide", {"ids": [desk.ids()[path]], "choice": {"keep": False}})
        assert status == 409 and "prep train" in answer["error"] and "nothing was written" in answer["hint"]
    monkeypatch.setattr("pipeline.review.desk.PATIENCE", 20)
    held = threading.Event()

    def work() -> None:
        with lock(root, "tag"):
            held.set()
            threading.Event().wait(0.5)

    thread = threading.Thread(target=work)
    thread.start()
    held.wait()
    assert decide(desk, path, {"keep": False})["run"]
    thread.join()


def test_a_caption_edited_on_disk_is_seen(desk, root, path, monkeypatch):
    monkeypatch.setattr("pipeline.review.desk.LOOK_AT_FILES_EVERY", 0.0)
    desk.get("api/version")
    caption_file(root, path).write_text("edited elsewhere", encoding="utf-8")
    assert path in desk.ids('caption:"edited elsewhere"')


def test_another_command_is_seen(desk, root, path):
    before = desk.get("api/version")["version"]
    with Manifest.open(root) as other, other.transaction():
        run_id = other.begin_run("tags", {})
        other.put_back(run_id, [(path, "flags", '["watermark"]', "quality_tag", "")])
        other.finish_run(run_id, {})
    assert desk.get("api/version")["version"] > before
    assert list(desk.ids("flag:watermark")) == [path]


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"ids": [], "choice": {"keep": True}},
        {"ids": [0], "choice": {}},
        {"ids": [0], "choice": {"keep": True, "anchor": "top"}},
        {"ids": [0], "choice": {"delete": True}},
        {"ids": ["0"], "choice": {"keep": True}},
        {"ids": [True], "choice": {"keep": True}},
        {"ids": [10**9], "choice": {"keep": True}},
        {"ids": [0], "choice": {"repeats": -1}},
        {"ids": [0], "choice": {"repeats": float("1e400")}},
        {"ids": [0], "choice": {"repeats": True}},
        {"ids": [0], "choice": {"add": ["a, b"]}},
        {"ids": [0], "choice": {"add": []}},
        {"ids": [0], "choice": {"add": "hat"}},
        {"ids": [0], "choice": {"caption": "   "}},
        {"ids": [0], "choice": {"caption": "a" * 30_000}},
        {"ids": [0], "choice": ["keep"]},
    ],
    ids=str,
)
def test_what_is_no_decision_is_refused_in_words(desk, sent):
    runs = desk.desk.read(lambda manifest: len(manifest.runs()))
    status, answer = desk.post("decide", sent)
    assert status == 400 and answer["error"] and answer["hint"]
    assert desk.desk.read(lambda manifest: len(manifest.runs())) == runs


def test_weights_are_tried_without_a_trace_and_kept_with_one(desk, root):
    text = (root / "prep.toml").read_text(encoding="utf-8")
    before = desk.get("api/balance")
    weights = {"artists": 4.0}
    status, tried = desk.post("balance/try", {"weights": weights})
    share = {node["path"]: node["share"] for node in tried["nodes"]}
    assert (
        status == 200
        and share["artists"] == pytest.approx(0.8)
        and (root / "prep.toml").read_text(encoding="utf-8") == text
    )
    assert desk.get("api/balance")["nodes"] == before["nodes"]
    assert desk.post("balance/keep", {"weights": weights})[0] == 200
    kept = (root / "prep.toml").read_text(encoding="utf-8")
    assert kept.startswith("# kept\n") and tomllib.loads(kept)["balance"]["weights"] == {"artists": 4.0}
    assert "core_images = 3" in kept
    assert run("balance", root)["fresh"]
    status, answer = desk.post("balance/try", {"weights": {"nobody": 2}})
    assert status == 400 and "nobody" in answer["error"]


def test_stages_that_a_decision_makes_stale_are_named_and_brought_up_to_date(desk, root):
    (copy,) = desk.ids("reason:near_duplicate")
    assert desk.get("api/stale")["stale"] == []
    decide(desk, copy, {"keep": True})
    assert "check" in desk.get("api/stale")["stale"] and "bucket" in desk.get("api/stale")["stale"]
    status, answer = desk.post("update", {})
    assert status == 200 and "bucket" in answer["words"] and desk.get("api/stale")["stale"] == []
    assert decision(desk, copy, "caption").reason.value == "not_scored", "it has no scores yet: that is for prep tag"


def test_thresholds_are_tried_on_stored_scores_and_kept(desk, root):
    shown = desk.get("api/thresholds")
    general = shown["categories"][0]
    assert general["category"] == "general" and general["now"] == general["published"] and sum(general["spread"]) > 0
    text = (root / "prep.toml").read_text(encoding="utf-8")
    status, tried = desk.post("thresholds/try", {"general": 0.999, "character": None})
    assert (
        status == 200
        and tried["tags"]
        and tried["captions"]
        and (root / "prep.toml").read_text(encoding="utf-8") == text
    )
    for row in tried["tags"]:
        assert row["after"] < row["before"], "a higher threshold holds less"
    before = {row["path"]: row["after"] for row in tried["captions"]}
    assert desk.post("thresholds/keep", {"general": 0.999, "character": None})[0] == 200
    assert "general = 0.999" in (root / "prep.toml").read_text(encoding="utf-8") and run("curate", root)["fresh"]
    for path, caption in before.items():
        assert caption_file(root, path).read_text(encoding="utf-8").strip() == caption, (
            "what was shown is what was kept"
        )
    status, answer = desk.post("thresholds/try", {"general": 2})
    assert status == 400 and "0 to 1" in answer["hint"]


def test_captions_are_counted_in_the_tokens_of_the_base_model(desk, root):
    assert desk.get("api/captions")["rows"][0]["tokens"] is None and desk.get("api/tokens?text=a")["tokens"] is None
    folder = Path(__file__).parents[3] / "train/miniature/base"
    with (root / "prep.toml").open("a", encoding="utf-8") as settings:
        settings.write(f'[train]\nbase = "{folder.as_posix()}"\n')
    found = desk.get("api/captions")
    assert found["windows"] == [75, 150, 225] and all(row["tokens"] > 0 for row in found["rows"])
    assert desk.get("api/tokens?text=1girl,%20solo")["tokens"] == 4, "a digit is a token of its own"
