"""Training runs beside each other."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli.commands.compare import command
from pipeline.core.errors import PrepError
from pipeline.report.run.comparison import Difference, comparison, write_comparison
from pipeline.report.run.facts import collect_run


def run(root: Path, name: str, settings: dict, losses: list[float], versions: str = "2.13.0") -> Path:
    folder = root / "runs" / name
    folder.mkdir(parents=True)
    about = {
        "settings": {key: {"value": value, "origin": "default"} for key, value in settings.items()},
        "versions": {"torch": versions},
        "base": {"name": "miniature"},
        "set": {"digest": "a" * 40, "images": 3},
        "device": "cpu",
        "snapshots": [],
    }
    (folder / "run.json").write_text(json.dumps(about), encoding="utf-8")
    lines = [json.dumps({"step": 10 * place, "held_out": loss}) for place, loss in enumerate(losses)]
    (folder / "validation.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def runs(tmp_path) -> list[Path]:
    return [
        run(tmp_path, "one", {"name": "one", "rank": 16, "alpha": 8.0, "blocks": {}}, [0.5, 0.4, 0.45]),
        run(tmp_path, "<b>two", {"name": "<b>two", "rank": 4, "alpha": 8.0, "blocks": {}, "new": 1}, [0.5, 0.48], "2.14.0"),
    ]  # fmt: skip


def test_only_what_differs_is_told_and_names_are_no_difference(runs):
    found = comparison([collect_run(folder) for folder in runs])
    assert found.settings == (Difference("rank", ("16", "4")), Difference("versions: torch", ("2.13.0", "2.14.0")))
    results = {row.name: row.values for row in found.results}
    assert results["lowest validation loss"] == ("0.4 at step 10", "0.48 at step 10")
    assert results["training loss at the end"] == ("–", "–") and results["images"] == ("3", "3")
    assert [chart.title for chart in found.charts] == ["Validation loss"]


def test_the_page_escapes_what_runs_are_called(runs, tmp_path):
    file = write_comparison(comparison([collect_run(folder) for folder in runs]), tmp_path / "compare.html")
    page = file.read_text(encoding="utf-8")
    assert "<b>two" not in page and "&lt;b&gt;two" in page and "No images were made" in page


def compare(*arguments: str):
    result = CliRunner().invoke(command, list(arguments), standalone_mode=False)
    if result.exception:
        raise result.exception
    return json.loads(result.stdout)


def test_without_images_nothing_is_loaded_and_the_difference_is_printed(tmp_path):
    for name, rank in (("one", 16), ("two", 4)):
        run(tmp_path, name, {"name": name, "rank": rank}, [0.5])
    said = compare(str(tmp_path), "one", "two", "--no-images", "--json")
    assert said["settings"] == {"rank": {"one": "16", "two": "4"}}
    assert Path(said["page"]) == tmp_path / "grids" / "one-two" / "compare.html"


def test_runs_that_are_not_there_or_alone_are_refused(tmp_path):
    run(tmp_path, "one", {"rank": 1}, [])
    with pytest.raises(PrepError, match="there is no run 'two'") as caught:
        compare(str(tmp_path), "one", "two")
    assert caught.value.hint == "runs: one"
    with pytest.raises(PrepError, match="runs are compared with others"):
        compare(str(tmp_path), "one")
    with pytest.raises(PrepError, match="is not the name of a run"):
        compare(str(tmp_path), "one", "../one")
