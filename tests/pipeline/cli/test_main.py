import errno
import importlib
import json
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from painted_sets import painted, save

from pipeline.cli.command_list import COMMANDS
from pipeline.config.registry import STAGES
from pipeline.stages import balance, check

HEAVY = ("cv2", "PIL", "torch", "onnxruntime", "numpy", "diffusers", "transformers", "rich")
AWKWARD = (
    "[artist] x.png",
    "[bold]y.png",
    "é:moji 😀.png",
    "a~b.png",
    "--json.png",
    "-x.png",
    "%s {0} $HOME.png",
    "新.png",
    "\x1b[31mred\n.png",
    "quote\"s' `.png",
    ":smile:.png",
)


@pytest.mark.parametrize("entry", STAGES + COMMANDS, ids=lambda entry: entry.name)
def test_the_short_help_is_the_modules_first_line(entry):
    assert importlib.import_module(entry.module).__doc__.splitlines()[0] == entry.help


def test_help_lists_every_command_and_imports_nothing_heavy():
    script = (
        "import sys\nfrom pipeline.cli.main import prep\nprep.main(['--help'], standalone_mode=False)\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout
    for entry in STAGES + COMMANDS:
        assert f"\n  {entry.name} " in done.stdout


@pytest.mark.parametrize("name", [entry.name for entry in STAGES])
def test_the_help_of_a_stage_imports_neither_torch_nor_cv2_nor_onnxruntime(name):
    script = (
        f"import sys\nfrom pipeline.cli.main import prep\nprep.main([{name!r}, '--help'], standalone_mode=False)\n"
        "print('HEAVY', [name for name in ('cv2', 'torch', 'onnxruntime', 'diffusers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout and "--dry-run" in done.stdout


def test_the_version_is_reported(command):
    result = command("--version")
    assert result.exit_code == 0 and result.stdout.startswith("prep")


def test_a_mistyped_command_gets_a_suggestion(command):
    result = command("blance", "x")
    assert result.exit_code == 2 and "Did you mean balance?" in result.output
    near = command("ta", "x")
    assert "Did you mean tag or tags?" in near.output


def test_flatten_makes_a_set_that_remembers_its_sources(command, source, tmp_path):
    result = command("flatten", source, tmp_path / "set", "-v")
    assert (
        result.exit_code == 0 and "    5  imported" in result.stdout and "flatten: 9 decisions changed" in result.stderr
    )
    assert f"next: prep check {tmp_path / 'set'}" in result.stderr
    assert str(source) in (tmp_path / "set/prep.toml").read_text(encoding="utf-8")
    again = command("flatten", tmp_path / "set")
    assert again.exit_code == 0 and "up to date" in again.stderr


def test_a_second_source_is_added(command, source, tmp_path):
    save(painted(8, 1.5), tmp_path / "more/z.png")
    command("flatten", source, tmp_path / "set")
    result = command("flatten", tmp_path / "more", tmp_path / "set", "--json")
    assert json.loads(result.stdout)["counts"]["imported"] == 6


def test_a_preview_writes_nothing(command, source, tmp_path):
    result = command("flatten", source, tmp_path / "set", "--dry-run")
    assert result.exit_code == 0 and not (tmp_path / "set").exists()
    assert 'characters/Lumi/a.png: imported (nothing) → "images/characters~Lumi/a.png" (imported)' in result.stdout
    command("flatten", source, tmp_path / "set")
    before = command("log", tmp_path / "set", "--json").stdout
    result = command("check", tmp_path / "set", "--dry-run", "--min-sharpness", "1e9", "--json")
    assert json.loads(result.stdout)["counts"] == {"blurry": 5} and json.loads(result.stdout)["changed"] == 5
    assert command("log", tmp_path / "set", "--json").stdout == before


def test_every_stage_prints_reasons_and_one_json_document(command, source, tmp_path):
    command("flatten", source, tmp_path / "set")
    for name, code, reason in (
        ("check", "good", "good"),
        ("bucket", "upscaled", "upscaled"),
        ("balance", "share_of_concept", "share of its concept"),
    ):
        document = json.loads(command(name, tmp_path / "set", "--json").stdout)
        assert document["stage"] == name and document["counts"][code] == 5 and len(document["decisions"]) == 5
        brief, shown = (command(name, tmp_path / "set", "--force", *more) for more in ((), ("-v",)))
        assert f"    5  {reason}" in shown.stdout and shown.exit_code == 0
        assert brief.stdout.startswith(f"{name}: 5 {reason}") and len(brief.output.splitlines()) <= 8


def test_a_flag_goes_before_prep_toml_and_is_said_to_hold_once(command, source, tmp_path):
    command("flatten", source, tmp_path / "set")
    with (tmp_path / "set/prep.toml").open("a", encoding="utf-8") as file:
        file.write("\n[check]\nmin_sharpness = 1e9\n")
    assert json.loads(command("check", tmp_path / "set", "--json").stdout)["counts"] == {"blurry": 5}
    result = command("check", tmp_path / "set", "--min-sharpness", "1")
    assert "check: 5 good" in result.stdout and "flags apply to this run only" in result.stderr


def test_a_problem_is_reported_once_with_its_remedy_and_exit_code_1(command, tmp_path):
    result = command("check", tmp_path / "[/bold] set")
    assert result.exit_code == 1 and result.stdout == ""
    assert f"error: no set at {tmp_path}/[/bold] set: it has no manifest.db" in result.stderr
    assert "hint: make one with: prep flatten FOLDER" in result.stderr


def test_usage_errors_have_exit_code_2(command, tmp_path):
    assert command("check").exit_code == 2
    assert command("check", tmp_path, "--min-side", "x").exit_code == 2
    assert command("bucket", tmp_path, "--rule", "khoya").exit_code == 2


def test_ctrl_c_is_calm(command, source, tmp_path, monkeypatch):
    command("flatten", source, tmp_path / "set")
    interrupted = replace(check.STAGE, measure=lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    monkeypatch.setattr(check, "STAGE", interrupted)
    result = command("check", tmp_path / "set")
    assert result.exit_code == 130 and "stopped; finished work is kept" in result.stderr


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "hint: make room on the disk"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/[a]"), "error: Permission denied (/x/[a])"),
        (sqlite3.OperationalError("database is locked"), "another prep may be at work"),
    ],
)
def test_what_the_machine_refuses_is_reported_as_a_problem(command, source, tmp_path, monkeypatch, error, words):
    command("flatten", source, tmp_path / "set")
    monkeypatch.setattr(balance, "STAGE", replace(balance.STAGE, plan=lambda *_: (_ for _ in ()).throw(error)))
    result = command("balance", tmp_path / "set")
    assert result.exit_code == 1 and words in result.stderr and "Traceback" not in result.output


def test_no_name_breaks_any_command(command, tmp_path):
    source, root = tmp_path / "só [urce] 😀", tmp_path / "[/bold] sét"
    for number, name in enumerate(AWKWARD):
        save(painted(number, 1.5), source / "[red]cøncept~ 50%" / name)
    for arguments in (
        ("flatten", source, root, "--dry-run"),
        ("flatten", source, root),
        ("check", root),
        ("bucket", root),
        ("balance", root, "--weights", "[red]cøncept~ 50%=2"),
        ("status", root),
        ("log", root),
        ("log", root, "--stage", "flatten"),
        ("log", root, "--image", "[artist]"),
        ("run", root, "--until", "bucket"),
        ("balance", root, "--force", "--json"),
    ):
        result = command(*arguments)
        assert result.exit_code == 0, (arguments, result.output, result.exception)
        assert "\x1b[31m" not in result.output
    assert "images/[red]cøncept%7E 50%/[artist] x.png" in command("log", root, "--image", "[artist]").stdout


def test_the_module_runs_as_a_program(source, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "flatten", str(source), str(tmp_path / "set")],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 0 and "imported" in done.stdout
