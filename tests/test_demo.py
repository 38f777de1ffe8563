"""The demo, with a short training: everything is painted, found, decided, made, measured and shown."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli.commands import demo
from pipeline.cli.main import prep

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("demo")
    file = demo.write_settings(folder / "set", demo.recall_prompts())
    text = file.read_text(encoding="utf-8")
    assert "steps = 420" in text and "count = 8" in text
    text = text.replace("steps = 420", "steps = 2").replace("count = 8", "count = 1\nsteps = 3")
    file.write_text(text.replace("[regularize]", "[regularize]\nsteps = 2"), encoding="utf-8")
    result = CliRunner().invoke(prep, ["demo", str(folder), "--json"], standalone_mode=False)
    assert result.exception is None, result.output
    return folder, json.loads(result.stdout)


def test_every_planted_fault_is_found_and_no_good_image_is_lost(finished):
    _, summary = finished
    assert set(summary["faults"]) == {"exact duplicate", "near duplicate", "blurry", "tiny", "truncated", "no image"}
    assert all(row["planted"] == row["found"] for row in summary["faults"].values()), summary["faults"]
    assert summary["good images lost"] == []
    assert summary["good images"] > 90


def test_every_character_is_measured_before_and_after(finished):
    _, summary = finished
    for part in ("traits", "other outfit"):
        assert set(summary[part]) == {"Lumi", "Oriel", "Pernille", "Quill", "all"}
        assert all(0 <= share <= 1 for row in summary[part].values() for share in row.values())


def test_the_page_is_one_file_with_every_trigger_word(finished):
    _, summary = finished
    page = Path(summary["page"]).read_text(encoding="utf-8")
    assert all(name in page for name in ("Lumi", "Oriel", "Pernille", "Quill"))
    assert "http://" not in page and "https://" not in page.replace("https://www.w3.org", "")


def test_the_demo_run_again_generates_nothing_and_trains_nothing_anew(finished):
    folder, first = finished
    painted = {file: file.stat().st_mtime_ns for file in (folder / "images").rglob("*")}
    adapter = (folder / "set/runs/adapter/adapter.safetensors").stat().st_mtime_ns
    result = CliRunner().invoke(prep, ["demo", str(folder), "--json"], standalone_mode=False)
    assert json.loads(result.stdout)["traits"] == first["traits"]
    assert painted == {file: file.stat().st_mtime_ns for file in (folder / "images").rglob("*")}
    assert adapter == (folder / "set/runs/adapter/adapter.safetensors").stat().st_mtime_ns
