"""The page about a run tells what its folder holds, says what is missing, and no text in it can become markup."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from painted_sets import painted, save

from pipeline.core.errors import PrepError
from pipeline.report.html.charts import Chart, Line, draw, ticks
from pipeline.report.html.page import environment
from pipeline.report.run.facts import collect_run
from pipeline.report.run.page import render_run, write_run_page
from pipeline.report.run.snapshots import recommended
from pipeline.store.training_log import images_csv, read_figures

EVIL = "</style></script><script>alert(1)</script><img src=x onerror=alert(1)>"
LUMI, QUILL, HELD = "images/Lumi/a.png", "images/Quill/b.png", "images/Quill/held.png"


class Elements(HTMLParser):
    """Collects (element, attributes) in order, and the text outside styles and scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.inside = "", ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.inside = tag

    def handle_data(self, data):
        if self.inside not in ("style", "script"):
            self.text += data


def line(step: int, *shown: list) -> dict:
    return {
        "step": step,
        "epoch": step // 3 + 1,
        "loss": 0.5 / step,
        "unet_lr": 5e-4,
        "concepts": {"Lumi": 0.25},
        "bands": {"0-250": 0.25},
        "images": list(shown) or [[LUMI, 10, 0.25]],
        "reg_images": [[LUMI, 10, 0.1]],
    }


def snapshot(step: int, validation: float | None, best: bool = False) -> dict:
    return {"file": f"x-{step}.safetensors", "step": step, "epoch": 0, "validation": validation, "best": best}


def validation(step: int, held: float | None, train_subset: float) -> dict:
    return {"step": step, "epoch": 0, "held_out": held, "train_subset": train_subset, "concepts": {}, "bands": {}}


def write_lines(file: Path, *rows: dict) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def about(**given) -> dict:
    settings = {"algorithm": ("locon", "preset lumi"), "rank": (8, "flag"), "base": ("miniature", "default")}
    return {
        "settings": {key: {"value": value, "origin": origin} for key, (value, origin) in settings.items()},
        "versions": {"torch": "2.13"},
        "seeds": {"seed": 421},
        "set": {"digest": "abcd", "images": 3, "concepts": {"Lumi": 1, "Quill": 2}, "held out": [HELD]},
        "base": {"name": "miniature"},
        "device": "cpu",
        "steps": 4,
        "snapshots": [],
        "result": {},
        **given,
    }


@pytest.fixture
def run(tmp_path) -> Path:
    """SET/runs/x, finished, of two images and one held out."""
    folder = tmp_path / "set" / "runs" / "x"
    folder.mkdir(parents=True)
    images = {path: {"concept": path.split("/")[1], "repeats": 1.5} for path in (LUMI, QUILL, HELD)}
    for number, path in enumerate(images):
        save(painted(number), tmp_path / "set" / path)
    write_lines(folder / "log.jsonl", line(1), line(2, [QUILL, 900, 0.75]), line(3), line(4))
    images_csv(folder / "images.csv", read_figures(folder / "log.jsonl"), images)
    write_lines(folder / "validation.jsonl", validation(0, 0.4, 0.4), validation(2, 0.2, 0.3), validation(4, 0.3, 0.1))
    (folder / "x-2.safetensors").write_bytes(b"x" * 1234)
    snapshots = [snapshot(2, 0.2, best=True), snapshot(4, 0.3)]
    finished = about(snapshots=snapshots, result={"finished": "2026-05-06T07:08:09+00:00"})
    (folder / "run.json").write_text(json.dumps(finished), encoding="utf-8")
    save(painted(3), folder / "progress" / "grid.png")
    return folder


def test_the_page_answers_what_on_what_how_often_how_and_which(run):
    page = Elements(write_run_page(run).read_text(encoding="utf-8"))
    for words in (
        "locon of rank 8 on miniature",
        "finished 2026-05-06 07:08 UTC",
        "4 exposures of 2 images",
        "4 exposures of regularization images beside them",
        "1 image held out",
        "Its loss on images held out of training, 0.2, is the lowest of 2 snapshots evaluated",
        "The last, after step 4, has 0.3.",
        "1\u202f234",
        "file is gone",
        "preset lumi",
        "abcd",
        "best, step 2",
    ):
        assert words in page.text, words
    cells = page.text[page.text.index("Exposures of each image", 500) :]
    assert cells.index(HELD) < cells.index(QUILL) < cells.index(LUMI), "those seen least come first"
    assert "never seen" not in page.text
    assert ("table", {"class": "sortable"}) in page.found
    assert sum(name == "svg" for name, _ in page.found) == 5
    assert any(given.get("href") == "progress/grid.png" for name, given in page.found)


def test_the_page_loads_nothing_and_runs_only_its_own_script(run):
    page = Elements(render_run(collect_run(run)))
    policy = next(given["content"] for name, given in page.found if given.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:;") and "script-src 'sha256-" in policy
    assert sum(name == "script" for name, _ in page.found) == 1
    sources = [given.get("src") or "" for name, given in page.found if name in ("img", "script", "link", "iframe")]
    assert len([source for source in sources if source]) == 4
    assert all(source.startswith("data:image/webp;base64,") for source in sources if source)


@pytest.mark.parametrize("left", [(), ("log.jsonl",), ("run.json",), ("images.csv",), ("log.jsonl", "run.json")])
def test_a_run_of_which_only_some_is_there_is_shown_and_the_rest_named(run, left):
    for file in [file for file in run.rglob("*") if file.is_file() and file.name not in left]:
        file.unlink()
    page = Elements(render_run(collect_run(run))).text
    said = {
        "log.jsonl": ("log.jsonl", "no validation was done"),
        "run.json": ("run.json", "There is no run.json"),
    }
    for file, words in said.values():
        assert (words in page) == (file not in left)
    assert "No samples: the run has no sample prompts" in page
    assert all((words in page) == ("run.json" not in left) for words in ("No adapter is saved yet", "not finished"))
    if "log.jsonl" in left:
        assert "4 exposures of 2 images" in page


def test_damaged_files_are_named_and_the_rest_is_shown(run):
    (run / "run.json").write_text("{", encoding="utf-8")
    (run / "validation.jsonl").write_text('{"step": 1}\nnonsense\n{"step": 2}\n', encoding="utf-8")
    (run / "progress" / "grid.png").write_bytes(b"no image")
    page = Elements(render_run(collect_run(run))).text
    assert "run.json cannot be read" in page and "line 2 of" in page and "grid.png cannot be read" in page
    assert "4 exposures" in page


def test_a_missing_key_is_named(run):
    (run / "set.json").write_text('{"images/x.png": {"concept": "x"}}', encoding="utf-8")
    assert "cannot be read: 'repeats' is missing" in Elements(render_run(collect_run(run))).text


def test_steps_that_are_not_logged_are_reported(run):
    write_lines(run / "log.jsonl", line(1), line(4))
    assert "Steps 2–3 are not in log.jsonl" in render_run(collect_run(run))


def test_an_image_that_was_never_seen_is_pointed_out(run):
    write_lines(run / "log.jsonl", line(1))
    page = Elements(render_run(collect_run(run))).text
    assert "1 image was never seen" in page


def test_no_text_becomes_markup_and_no_path_leaves_the_set(run, tmp_path):
    secret = save(painted(5), tmp_path / "secret.png")
    images = {f"../{secret.name}": {"concept": EVIL, "repeats": 1.0}, EVIL: {"concept": EVIL, "repeats": 1.0}}
    write_lines(run / "log.jsonl", line(1, [EVIL, 10, 0.5]) | {"concepts": {EVIL: 0.5}, "reg_images": []})
    images_csv(run / "images.csv", read_figures(run / "log.jsonl"), images)
    (run / "progress" / "grid.png").unlink()
    evil = about(
        settings={EVIL: {"value": EVIL, "origin": EVIL}},
        versions={EVIL: EVIL},
        base={EVIL: EVIL},
        device=EVIL,
        snapshots=[snapshot(1, 0.1) | {"file": EVIL}, snapshot(2, 0.1) | {"file": "../../../secret.png"}],
        result={"finished": EVIL, EVIL: [EVIL]},
    )
    (run / "run.json").write_text(json.dumps(evil), encoding="utf-8")
    page = Elements(render_run(collect_run(run)))
    assert sum(name == "script" for name, _ in page.found) == 1
    assert not [name for name, given in page.found if "onerror" in given or given.get("src") == "x"]
    assert not [name for name, _ in page.found if name == "img"]
    assert [each.bytes for each in collect_run(run).snapshots] == [None, None]
    assert EVIL in page.text


def test_which_to_take_is_said_with_its_reason(run):
    def said(snapshots, validations=()) -> tuple[str | None, str]:
        (run / "run.json").write_text(json.dumps(about(snapshots=snapshots)), encoding="utf-8")
        write_lines(run / "validation.jsonl", *validations)
        found, words = recommended(collect_run(run))
        return (found.file if found else None), words

    assert said([]) == (None, "None is saved yet.")
    name, words = said([snapshot(2, None), snapshot(4, None)])
    assert name == "x-4.safetensors" and "No validation loss" in words
    name, words = said(
        [snapshot(2, 0.2, best=True), snapshot(4, 0.3)], [validation(2, None, 0.2), validation(4, None, 0.3)]
    )
    assert (
        name == "x-2.safetensors"
        and "on images it was trained on" in words
        and "keeps falling while images are memorized" in words
    )
    _, words = said([snapshot(2, 0.2, best=True)], [validation(2, 0.2, 0.3), validation(3, 0.1, 0.3)])
    assert words.endswith("Between snapshots, at step 3, it was lower still: 0.1.")


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(PrepError, match="there is no run at"):
        write_run_page(tmp_path / "none")


@pytest.mark.parametrize(
    ("low", "high", "marks"),
    [
        (0.13, 0.48, (0.1, 0.2, 0.3, 0.4, 0.5)),
        (0, 600, (0, 200, 400, 600)),
        (0.0, 5e-4, (0, 2e-4, 4e-4, 6e-4)),
        (2.0, 2.0, (1, 1.5, 2, 2.5, 3)),
    ],
)
def test_marks_on_an_axis_are_round_and_hold_the_range(low, high, marks):
    assert ticks(low, high) == pytest.approx(marks)


def test_a_line_is_drawn_where_its_values_are():
    drawn = draw(Chart("Loss", "", (Line("loss", (0, 50, 100), (0.0, 4.0, 2.0), "c0"),), (50, "best")))
    page = str(environment().get_template("chart.html").module.chart(drawn))
    assert 'points="56.0,224.0 341.0,22.0 626.0,123.0"' in page
    assert 'x1="341.0"' in page
