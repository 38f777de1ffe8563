from pathlib import Path

import pytest

from pipeline.errors import PrepError
from pipeline.records import Decision
from train.dataset import dataset_digest, examples, tag_frequency


def put(manifest, field: str, values: dict[str, object]) -> None:
    with manifest.transaction():
        run = manifest.begin_run("test", {})
        rows = [Decision(path, field, value, "test") for path, value in values.items()]
        manifest.put_rows(run, rows)


def test_an_example_holds_what_was_decided_about_its_picture(prepared):
    found = examples(prepared, twins=True)
    assert [example.entry.key for example in found] == [image.path for image in prepared.kept()]
    first = found[0]
    assert (first.entry.bucket, first.entry.multiplier, first.concept) == ((48, 80), 1.5, "Lumi")
    assert first.picture.file == prepared.root / first.entry.key and first.picture.size == (48, 80)
    assert first.triggers == ("Lumi",) and first.caption.startswith("Lumi, ")
    assert first.twin is None and first.twin_caption == ""


def test_a_twin_goes_with_its_picture_unless_twins_are_left_out(prepared):
    path = prepared.kept()[0].path
    twin = "regularization/Lumi/0.png"
    put(prepared, "twin", {path: {"path": twin, "caption": "1girl", "size": [48, 80], "seed": 1}})
    with pytest.raises(PrepError, match=f"the regularization picture {twin} is not there") as caught:
        examples(prepared, twins=True)
    assert "prep regularize" in caught.value.hint
    file = prepared.root / twin
    file.parent.mkdir(parents=True)
    file.write_bytes(Path(prepared.root / path).read_bytes())
    example = examples(prepared, twins=True)[0]
    assert example.twin.file == file and example.twin.size == (48, 80) and example.twin_caption == "1girl"
    assert examples(prepared, twins=False)[0].twin is None


def test_tags_are_counted_by_concept_and_marks_are_no_tags(prepared):
    paths = [image.path for image in prepared.kept()]
    put(prepared, "caption", dict.fromkeys(paths, "Lumi, |||, 1girl;;;smile"))
    found = examples(prepared, twins=False)
    assert tag_frequency(found, ("|||", ";;;")) == {"Lumi": {"Lumi": 6, "1girl": 6, "smile": 6}}
    assert "|||" not in tag_frequency(found)["Lumi"]


def test_the_digest_changes_with_anything_that_is_trained_on(prepared):
    before = dataset_digest(examples(prepared, twins=False))
    assert dataset_digest(examples(prepared, twins=False)) == before
    path = prepared.kept()[0].path
    put(prepared, "caption", {path: "another"})
    after = dataset_digest(examples(prepared, twins=False))
    put(prepared, "multiplier", {path: {"exact": 1.51, "repeat": 1}})
    assert len({before, after, dataset_digest(examples(prepared, twins=False))}) == 3
