"""What a plan says of the room that a run takes on the disk."""

from pathlib import Path

import pytest
from recorded_sets import recorded_set

from pipeline.stages import train
from pipeline.store.manifest import Manifest
from train.options.recipe import make_recipe


@pytest.fixture
def manifest(tmp_path: Path):
    """Eight images at 64×64 and two at 56×72."""
    images = [("Lumi", (64, 64))] * 8 + [("Quill", (56, 72))] * 2
    rows = [(f"images/{name}/{at}.png", name, size, f"{name}, 1girl", 1.0) for at, (name, size) in enumerate(images)]
    manifest = recorded_set(tmp_path / "set", rows)
    yield manifest
    manifest.close()


def planned(manifest: Manifest, **options):
    return train.plan(manifest, make_recipe(**{"base": "miniature", **options}))


def remark(plan, opening: str) -> str:
    (found,) = [each for each in plan.info if each.startswith(opening)]
    return found


def test_what_a_run_will_write_and_what_is_free_are_reported_before_it_begins(manifest, monkeypatch):
    monkeypatch.setattr("pipeline.core.disk_space.free_bytes", lambda path: 20_000_000)
    state, file, latents = 12 * 389120, 2 * 389120, 2 * 4 * 4 * (8 * 16 * 16 + 2 * 14 * 18)
    plan = planned(manifest, epochs=4, save_every_epochs=2)
    most = (2 * state + (2 + 2) * file + latents) / 1e6
    assert remark(plan, "room: ").startswith(
        f"room: up to {most:.3g} MB will be written, 20 MB are free on the disk of"
    )
    assert not any("cannot begin" in note for note in plan.warnings)
    (refused,) = [note for note in planned(manifest, epochs=40, save_every_epochs=1).warnings if "cannot begin" in note]
    assert "20 MB are free" in refused and refused.endswith(
        "make room, or write less: fewer snapshots, keep_last, a smaller rank, save_checkpoint off"
    )
