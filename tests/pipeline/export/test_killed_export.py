"""A killed export that is run again ends the same."""

from __future__ import annotations

import contextlib

import pytest
from export_sets import LAYOUTS, change, export, tree

from pipeline.export import writing
from pipeline.export.record import read_record


class Killed(BaseException):
    """What a test ends a run with."""


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("resize", (False, True))
@pytest.mark.parametrize("files", (0, 1, 3))
def test_a_killed_export_that_is_run_again_ends_the_same(manifest, tmp_path, monkeypatch, layout, resize, files):
    export(manifest, tmp_path / "whole", layout, resize=resize)
    folder, write, noted = tmp_path / "out", writing._write, []

    def dying(*arguments):
        if len(noted) >= files:
            raise Killed
        noted.append(write(*arguments))
        return noted[-1]

    with monkeypatch.context() as patched:
        patched.setattr(writing, "THREADS", 1)
        patched.setattr(writing, "_write", dying)
        with contextlib.suppress(Killed):
            export(manifest, folder, layout, resize=resize)
    assert len(noted) == min(files, len(tree(tmp_path / "whole")))
    planned = export(manifest, folder, layout, resize=resize)
    wanted = {path: data for path, data in tree(tmp_path / "whole").items() if path != "dataset.toml"}
    assert {path: data for path, data in tree(folder).items() if path != "dataset.toml"} == wanted
    assert not planned.changes.in_the_way and not planned.changes.edited and not planned.changes.strangers
    assert export(manifest, folder, layout, resize=resize).fresh


def test_a_run_killed_so_hard_that_nothing_was_noted_leaves_no_file_unowned(manifest, folder, monkeypatch):
    warnings = []

    def first_only(*arguments):
        warnings.append(arguments)
        if len(warnings) == 1:
            write_record(*arguments)

    write_record = writing.write_record
    with monkeypatch.context() as patched:
        patched.setattr(writing, "write_record", first_only)
        export(manifest, folder, resize=True)
    assert read_record(folder).pending
    change(manifest, "images/artists~alder/a.png", "keep", False)
    planned = export(manifest, folder, resize=True)
    assert not planned.changes.strangers and not planned.changes.in_the_way
    assert not any("alder" in path for path in tree(folder))


def test_half_written_files_of_a_killed_run_are_cleared_away(manifest, folder):
    folder.mkdir()
    (folder / ".prep-first.tmp").write_bytes(b"half")
    export(manifest, folder)
    (folder / "train/1_artists~alder/.prep-abc.tmp").write_bytes(b"half")
    planned = export(manifest, folder)
    assert planned.changes.remove == ("train/1_artists~alder/.prep-abc.tmp",)
    assert not list(folder.rglob(".prep-*"))


def test_a_caption_changed_after_a_kill_is_a_persons(manifest, folder, monkeypatch):
    warnings, write_record = [], writing.write_record
    with monkeypatch.context() as patched:
        patched.setattr(
            writing, "write_record", lambda *given: warnings.append(1) or (len(warnings) == 1 and write_record(*given))
        )
        export(manifest, folder)
    caption = folder / "train/1_artists~alder/a.txt"
    caption.write_text("mine", encoding="utf-8")
    assert export(manifest, folder).changes.in_the_way == ("train/1_artists~alder/a.txt",)
    assert caption.read_text(encoding="utf-8") == "mine"


def test_a_failed_export_is_an_unfinished_run(manifest, folder, monkeypatch):
    def failing(file):
        raise ValueError("no such pixels")

    with monkeypatch.context() as broken, pytest.raises(ValueError):
        broken.setattr(writing, "_png", failing)
        export(manifest, folder, resize=True)
    run = manifest.last_run("export")
    assert run is not None and not run.finished
    export(manifest, folder, resize=True)
    run = manifest.last_run("export")
    assert run is not None and run.finished and run.counts["images"] == 3
