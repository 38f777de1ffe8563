"""Where an export may be written, and whose record of one is believed."""

from __future__ import annotations

import json

import pytest
from export_sets import Workshop, export

from pipeline.core.errors import PrepError
from pipeline.export.record import FILE


def test_a_folder_in_the_set_or_in_a_source_is_refused(manifest, tmp_path):
    source = tmp_path / "pictures"
    with manifest.transaction():
        manifest.finish_run(manifest.begin_run("flatten", {"sources": [str(source), "hf://datasets/a/b@c"]}), {})
    with pytest.raises(PrepError, match="lies in the set"):
        export(manifest, manifest.root / "out")
    with pytest.raises(PrepError, match="lies in a source of the set"):
        export(manifest, source / "below" / "out")


def test_a_folder_of_somebody_else_is_refused(manifest, folder, tmp_path):
    folder.mkdir()
    (folder / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(PrepError, match="holds files that prep export did not write"):
        export(manifest, folder)
    with pytest.raises(PrepError, match="is a file"):
        export(manifest, folder / "mine.txt")


def test_an_export_of_another_layout_or_of_another_set_is_refused(manifest, folder, tmp_path):
    export(manifest, folder)
    with pytest.raises(PrepError, match="holds an export of layout kohya"):
        export(manifest, folder, "everydream")
    other = Workshop(tmp_path / "other")
    other.add("x")
    with pytest.raises(PrepError, match="holds an export of another set"):
        export(other.done(), folder)


@pytest.mark.parametrize("path", ("../mine.txt", "/mine.txt", "train/../../mine.txt", "a//b", "."))
def test_a_record_that_names_files_outside_is_refused(manifest, folder, tmp_path, path):
    export(manifest, folder)
    mine = tmp_path / "mine.txt"
    mine.write_text("mine", encoding="utf-8")
    record = json.loads((folder / FILE).read_text(encoding="utf-8"))
    record["files"][path] = ["", 4, mine.stat().st_mtime_ns]
    (folder / FILE).write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(PrepError, match="which is no path inside the folder"):
        export(manifest, folder)
    assert mine.exists()


@pytest.mark.parametrize(
    "text", ("", "[]", "{", '{"prep_export": 1}', '{"prep_export": 1, "layout": "kohya", "set": "", "files": {"a": 1}}')
)
def test_a_file_that_only_looks_like_a_record_is_refused(manifest, folder, text):
    folder.mkdir()
    (folder / FILE).write_text(text, encoding="utf-8")
    with pytest.raises(PrepError, match="was not written by prep export"):
        export(manifest, folder)


def test_a_record_of_a_newer_prep_is_refused(manifest, folder):
    export(manifest, folder)
    (folder / FILE).write_text(
        (folder / FILE).read_text(encoding="utf-8").replace('"prep_export":1', '"prep_export":9')
    )
    with pytest.raises(PrepError, match="has format 9"):
        export(manifest, folder)
