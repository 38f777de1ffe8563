"""What README promises is there: its commands, its settings, its tree, and the test command that CI takes from it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from pipeline.cli.command_list import COMMANDS
from pipeline.config.registry import STAGES
from pipeline.config.settings import load_settings, options_for

ROOT = Path(__file__).parents[1]
PACKAGES = ("pipeline", "taggers", "train")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(kind: str = "") -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [text for name, text in found if name == kind]


def every_package() -> list[str]:
    found = [file.parent for top in PACKAGES for file in (ROOT / top).rglob("__init__.py")]
    return [folder.relative_to(ROOT).as_posix() for folder in found]


def test_every_command_it_names_exists() -> None:
    known = {entry.name for entry in (*STAGES, *COMMANDS)}
    named = set(re.findall(r"(?:^|`|&& )prep ([a-z]+)", README, re.MULTILINE))
    assert named <= known
    assert {entry.name for entry in STAGES} <= named


def test_its_settings_are_understood_by_every_stage(tmp_path: Path) -> None:
    (text,) = blocks("toml")
    file = tmp_path / "set.toml"
    file.write_text(text, encoding="utf-8")
    settings = load_settings(file)
    for entry in STAGES:
        options_for(entry.name, entry.options(), settings, {})
    assert settings.stages["train"]["algorithm"] == "locon"


def folders_of_the_map() -> list[str]:
    """Every folder of the map as a path; what lies in another stands two columns to its right."""
    tree = next(block for block in blocks() if block.startswith("pipeline/"))
    above: list[str] = []
    found = []
    for line in tree.splitlines():
        name, depth = line.split("/")[0].strip(), (len(line) - len(line.lstrip())) // 2
        above = [*above[:depth], name]
        found.append("/".join(above))
    return found


def test_its_map_is_the_tree() -> None:
    named = folders_of_the_map()
    assert [path for path in named if not (ROOT / path).is_dir()] == []
    packages = [path for path in named if path.split("/")[0] in PACKAGES]
    assert sorted(packages) == sorted(every_package())


@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="CI's script is for bash")
def test_ci_runs_the_test_command_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    extraction = re.search(r"^command=.*?README\.md\)\"$", script, re.DOTALL | re.MULTILINE)
    assert extraction
    found = subprocess.run(
        ["/bin/bash", "-c", f'{extraction[0]}\nprintf %s "$command"'],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=True,
    )
    assert found.stdout == 'pip install -c constraints.txt -e ".[test]" && pytest'
