"""A run that is killed again and again ends with the very set that an undisturbed run makes."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from train.miniature.examples import scenes
from train.miniature.painter import paint

SETTINGS = """[set]
sources = ["../pictures"]
[bucket]
resolution = 64
bucket_reso_steps = 8
[tag]
model = "miniature"
batch_size = 2
[regularize]
base = "miniature"
steps = 4
batch_size = 2
[train]
base = "miniature"
rank = 2
batch_size = 2
steps = 12
save_state_every = 2
save_precision = "fp32"
[sample]
count = 2
steps = 4
batch_size = 2
"""
TABLES = {
    "images": "path, concept, content, bytes",
    "measurements": "*",
    "scores": "*",
    "decisions": "path, field, value, reason, evidence",
    "captions": "path, text",
}


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("killed") / "pictures"
    for index, scene in enumerate(scenes(12, seed=77)):
        file = folder / ("characters/Lumi" if index % 3 else "artists/[cedar] ✨") / f"shot {index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        paint(scene, 3.0).save(file)
    (folder / "artists/[cedar] ✨/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut off")
    return folder


def run(root: Path, seconds: float | None) -> bool:
    """Run `prep run ROOT`, killed after so many seconds; returns whether it came to its end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "run", str(root)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        _, words = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return False
    assert process.returncode == 0, words.decode(errors="replace")
    return True


def contents(root: Path) -> dict[str, object]:
    """Everything a set holds that does not tell when it was made."""
    database = sqlite3.connect(root / "manifest.db")
    found: dict[str, object] = {
        table: sorted(database.execute(f"SELECT {columns} FROM {table}"), key=repr) for table, columns in TABLES.items()
    }
    database.close()
    for folder in ("images", "regularization"):
        found |= {
            file.relative_to(root).as_posix(): file.read_bytes()
            for file in (root / folder).rglob("*")
            if file.is_file() and file.suffix != ".tmp"
        }
    return found


@pytest.mark.long
def test_a_run_killed_many_times_ends_with_the_same_set_and_the_same_adapter(images):
    quiet, killed = images.parent / "quiet", images.parent / "killed"
    for root in (quiet, killed):
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        (root / "prep.toml").write_text(SETTINGS, encoding="utf-8")
    assert run(quiet, None)
    seconds, kills = 0.4, 0
    while not run(killed, seconds):
        seconds, kills = seconds * 2 + 0.3, kills + 1
    assert kills >= 4
    assert contents(killed) == contents(quiet)
    one, other = (load_file(root / "runs/adapter/adapter.safetensors") for root in (quiet, killed))
    assert one.keys() == other.keys()
    assert all(torch.allclose(one[key], other[key], atol=1e-6) for key in one)
    assert sorted(file.name for file in (killed / "runs/adapter/samples").iterdir()) == sorted(
        file.name for file in (quiet / "runs/adapter/samples").iterdir()
    )
