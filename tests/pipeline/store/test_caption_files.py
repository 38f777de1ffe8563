"""Captions on disk: a person's are taken in and survive, prep's own are never taken for a person's."""

import os

import pytest
from painted_sets import quiet, run_flatten

from pipeline.core.errors import PrepError
from pipeline.stages import bucket, check, curate
from pipeline.store.caption_files import EDITS, captions, take_in
from pipeline.store.reasons.captions import CaptionReason
from pipeline.store.records import Tagger
from pipeline.store.running.readiness import all_decided
from pipeline.store.running.runner import run_stage
from pipeline.store.wording import figures, phrase

B = "images/characters~Lumi/b.png"


@pytest.fixture
def curated(flattened):
    tagger = Tagger("t", "1", "p", "CPU", {"1girl": "general", "smile": "general"})
    with flattened.transaction():
        flattened.put_tagger(tagger)
        flattened.put_scores(tagger.id, {image.content: {"1girl": 0.99, "smile": 0.6} for image in flattened.images()})
    run_stage(flattened, curate.STAGE, curate.Options(), quiet)
    return flattened


def file_of(manifest, path=B):
    return (manifest.root / path).with_suffix(".txt")


def test_an_edit_is_noticed_by_whatever_runs_next_and_recorded_as_a_persons(curated):
    file_of(curated).write_text("Lumi, 1girl, hat\n", encoding="utf-8")
    run_stage(curated, check.STAGE, check.Options(), quiet)
    run = next(run for run in curated.runs() if run.stage == EDITS)
    assert run.counts == {CaptionReason.MANUAL: 1} and run.finished
    row = curated.decisions("manual_caption")[B]
    assert (row.value, phrase(row), figures(row)) == ("Lumi, 1girl, hat\n", "manual caption", "-smile, +hat")
    assert captions(curated)[B] == curated.decisions("caption")[B].value == "Lumi, 1girl, hat"
    assert take_in(curated) == {}


def test_an_edit_survives_every_run_and_a_flattening_of_all_again(curated, source):
    file_of(curated).write_text("mine", encoding="utf-8")
    for options in (curate.Options(general=0.5), curate.Options(prune="none"), curate.Options(separator=",")):
        run_stage(curated, curate.STAGE, options, quiet, force=True)
        run_flatten(curated, source)
        assert file_of(curated).read_text(encoding="utf-8") == "mine" and captions(curated)[B] == "mine"
    run_stage(curated, check.STAGE, check.Options(min_side=10**6), quiet)
    run_stage(curated, curate.STAGE, curate.Options(), quiet)
    assert B not in curated.decisions("caption") and curated.manual_captions()[B] == "mine"
    run_stage(curated, check.STAGE, check.Options(), quiet)
    run_stage(curated, curate.STAGE, curate.Options(), quiet)
    assert captions(curated)[B] == "mine" and phrase(curated.decisions("caption")[B]) == "manual caption"


def test_an_edit_within_the_same_moment_and_of_the_same_length_is_noticed(curated):
    status = file_of(curated).stat()
    text = file_of(curated).read_text(encoding="utf-8")
    file_of(curated).write_text(text.replace("smile", "blush"), encoding="utf-8")
    os.utime(file_of(curated), ns=(status.st_atime_ns, status.st_mtime_ns))
    assert take_in(curated) == {CaptionReason.MANUAL: 1}


def test_files_that_were_not_touched_are_not_read_again(curated, monkeypatch):
    old = file_of(curated).stat().st_mtime_ns - 10**10
    for image in curated.images():
        os.utime(file_of(curated, image.path), ns=(old, old))
    assert take_in(curated) == {}
    monkeypatch.setattr("pipeline.store.caption_files._text", lambda file: pytest.fail(f"{file} was read"))
    assert take_in(curated) == {}


def test_a_caption_that_is_not_utf8_is_reported_and_kept_out_of_training_until_it_is_mended(curated):
    file_of(curated).write_bytes(b"caf\xe9")
    assert take_in(curated) == {CaptionReason.NOT_UTF8: 1}
    assert B not in curated.decisions("caption") and B not in curated.manual_captions() and take_in(curated) == {}
    run_stage(curated, curate.STAGE, curate.Options(), quiet, force=True)
    assert file_of(curated).read_bytes() == b"caf\xe9" and B not in captions(curated)
    run_stage(curated, check.STAGE, check.Options(), quiet)
    run_stage(curated, curate.STAGE, curate.Options(), quiet)
    run_stage(curated, bucket.STAGE, bucket.Options(resolution=64, bucket_reso_steps=8), quiet)
    with pytest.raises(PrepError, match="1 kept images have a caption file that is not UTF-8") as caught:
        all_decided(curated)
    assert "save it as UTF-8" in caught.value.hint
    file_of(curated).write_text("café", encoding="utf-8")
    assert take_in(curated) == {CaptionReason.MANUAL: 1} and captions(curated)[B] == "café"


def test_a_caption_that_is_mended_to_what_prep_wrote_is_preps_again(curated):
    written = file_of(curated).read_bytes()
    file_of(curated).write_bytes(b"caf\xe9")
    take_in(curated)
    file_of(curated).write_bytes(written)
    take_in(curated)
    assert B not in curated.decisions("manual_caption")
    run_stage(curated, curate.STAGE, curate.Options(), quiet)
    assert captions(curated)[B] + "\n" == written.decode() == file_of(curated).read_text(encoding="utf-8")


def test_a_caption_that_came_with_its_image_keeps_its_bytes_and_is_a_persons(source, flattened):
    path = "images/characters~Lumi/a.png"
    assert flattened.manual_captions()[path] == "lumi, 1girl\n"
    assert file_of(flattened, path).read_bytes() == (source / "characters/Lumi/a.txt").read_bytes()
    assert figures(flattened.decisions("manual_caption")[path]) == "came with the image"


def test_caption_files_of_images_that_left_the_set_are_nobodys_business(curated, source):
    (source / "characters/Lumi/b.png").unlink()
    (curated.root / B).unlink()
    run_flatten(curated, source)
    file_of(curated).write_text("edited though its image is gone", encoding="utf-8")
    assert take_in(curated) == {}
