"""The project's own old names for what the field has words for do not come back."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OLD = (
    *(
        "neuron_dropout",
        "huber_width",
        "validation_noises",
        "input_perturbation",
        "least_rate",
        "second_text_learning_rate",
        "text_learning_rate",
    ),
    *("oddness", "tagdesk", "shortladder", "told_apart", "showings", "twin_showings", "multiplier_of", "first_tensors"),
    *(
        "sketch_pictures",
        "sheet_pictures",
        "core_pictures",
        "validation_pictures",
        "max_enlarge",
        "given_caption",
        "absorb",
    ),
)
"""Names that mean nothing else in English or in the field."""
KEPT = ("pipeline/store/migrations/", "CHANGELOG.md", "tests/pipeline/store/", "tests/data/", "tests/test_words.py")
"""Where format 3 is read, and where it is said what was called otherwise."""


def files() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout")
    return [name for name in listed.stdout.splitlines() if name.endswith((".py", ".md", ".toml", ".html"))]


def test_old_words_are_gone() -> None:
    old = re.compile(rf"\b(?:{'|'.join(OLD)})\b")
    found = [
        f"{name}: {match[0]}"
        for name in files()
        if not name.startswith(KEPT)
        for match in old.finditer((ROOT / name).read_text(encoding="utf-8"))
    ]
    assert found == []
