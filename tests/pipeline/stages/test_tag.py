from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from painted_sets import painted, quiet, run_flatten, save
from PIL import Image as Pillow

from pipeline.core.decoding import image_io
from pipeline.core.errors import PrepError
from pipeline.stages import tag
from pipeline.store.manifest import Manifest
from pipeline.store.records import Image, Tagger
from pipeline.store.running.runner import preview_stage, run_stage
from pipeline.store.wording import figures


def options(**given: object) -> tag.Options:
    return tag.Options(**{"model": "miniature", "device": "cpu", **given})  # type: ignore[arg-type]


def copy_of_miniature(folder: Path) -> Path:
    """A tagger in a folder of its own."""
    from taggers.registry import BUILT_IN

    source = BUILT_IN["miniature"].folder
    assert source is not None
    shutil.copytree(source, folder)
    return folder


def save_jpeg(file: Path, seed: int, size: tuple[int, int], orientation: int = 1) -> None:
    """A JPEG with detail at every scale, as photographs have it."""
    rng = np.random.default_rng(seed)
    image = Pillow.new("RGB", size)
    for cells in (4, 16, 64):
        noise = Pillow.fromarray(rng.integers(0, 256, (cells, cells, 3), np.uint8)).resize(
            size, Pillow.Resampling.BICUBIC
        )
        image = Pillow.blend(image, noise, 0.6 if cells == 4 else 0.3)
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file, quality=90, exif=exif)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The images that were decoded since."""
    seen: list[Path] = []

    def load(path: Path) -> object:
        seen.append(path)
        return image_io.load_rgb(path)

    monkeypatch.setattr(tag, "load_rgb", load)
    return seen


def test_every_kept_content_is_scored_once_and_the_tagger_is_recorded(flattened: Manifest, source: Path) -> None:
    save(painted(0, 1.5), source / "characters/Quill/same as Lumi's.png")
    run_flatten(flattened, source)
    outcome = run_stage(flattened, tag.STAGE, options(), quiet)
    assert outcome.counts == {"to_score:miniature": 5, "scored_before": 0, "scored_on:CPU": 5}
    (tagger,) = flattened.taggers().values()
    assert (tagger.name, tagger.provider) == ("miniature", "CPUExecutionProvider")
    assert tagger.id.endswith("/pad-ffffff-bicubic-1")
    assert tagger.categories["white hair"] == "general" and tagger.categories["mira (miniature)"] == "character"
    scores = flattened.scores(tagger.id)
    assert scores.keys() == {image.content for image in flattened.images()}
    assert all(0.01 <= score <= 1 for found in scores.values() for score in found.values())


def test_the_painted_character_is_seen(flattened: Manifest) -> None:
    run_stage(flattened, tag.STAGE, options(), quiet)
    (identity,) = flattened.taggers()
    content = next(image.content for image in flattened.images() if image.path.endswith("Lumi/a.png"))
    found = flattened.scores(identity)[content]
    assert found["1girl"] > 0.5 or found["2girls"] > 0.5


def test_a_second_run_is_fresh_and_a_forced_one_decodes_nothing(flattened: Manifest, decoded: list[Path]) -> None:
    run_stage(flattened, tag.STAGE, options(), quiet)
    assert len(decoded) == 5
    assert run_stage(flattened, tag.STAGE, options(), quiet).fresh
    outcome = run_stage(flattened, tag.STAGE, options(), quiet, force=True)
    assert outcome.counts == {"to_score:miniature": 0, "scored_before": 5} and len(decoded) == 5


def test_only_a_new_image_is_decoded(flattened: Manifest, source: Path, decoded: list[Path]) -> None:
    run_stage(flattened, tag.STAGE, options(), quiet)
    decoded.clear()
    save(painted(9, 1.5), source / "characters/Quill/new.png")
    run_flatten(flattened, source)
    run_stage(flattened, tag.STAGE, options(), quiet)
    assert [path.name for path in decoded] == ["new.png"]


def test_a_killed_run_loses_one_batch(flattened: Manifest, decoded: list[Path]) -> None:
    def die(what: str, done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(flattened, tag.STAGE, options(batch_size=2), die)
    (identity,) = flattened.taggers()
    assert len(flattened.scored(identity)) == 4
    outcome = run_stage(flattened, tag.STAGE, options(batch_size=2), quiet)
    assert not outcome.fresh and outcome.counts["scored_on:CPU"] == 1
    assert len(flattened.scored(identity)) == 5


def test_a_preview_counts_and_runs_no_model(
    flattened: Manifest, monkeypatch: pytest.MonkeyPatch, decoded: list[Path]
) -> None:
    monkeypatch.setattr("taggers.engine.load_tagger", lambda *given: pytest.fail("a preview needs no model"))
    plan = preview_stage(flattened, tag.STAGE, options(), quiet)
    assert [(row.path, row.field) for row in plan.decisions] == [(".", "tagger")]
    assert plan.counts == {"to_score:miniature": 5, "scored_before": 0}
    away = preview_stage(flattened, tag.STAGE, tag.Options(), quiet)
    assert away.counts == {"to_score:wd-swinv2-v3": 5, "scored_before": 0}, "nothing is fetched either"
    assert decoded == [] and flattened.taggers() == {}


def test_images_that_were_not_kept_are_not_scored(flattened: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    first = flattened.images()[0]
    kept: tuple[Image, ...] = tuple(image for image in flattened.images() if image != first)
    monkeypatch.setattr(Manifest, "kept", lambda self: kept)
    run_stage(flattened, tag.STAGE, options(), quiet)
    (identity,) = flattened.taggers()
    assert first.content not in flattened.scored(identity) and len(flattened.scored(identity)) == 4


def test_an_unreadable_image_is_counted_and_named_and_the_rest_is_scored(
    flattened: Manifest, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = (source / "artists/alder/x.png").read_bytes()
    (source / "artists/alder/cut.png").write_bytes(whole[: len(whole) // 2])
    run_flatten(flattened, source)
    with caplog.at_level(logging.WARNING):
        outcome = run_stage(flattened, tag.STAGE, options(), quiet)
    assert outcome.counts["unreadable_images"] == 1 and outcome.counts["scored_on:CPU"] == 5
    assert "cut.png: truncated" in caplog.text


def test_going_back_to_another_model_makes_it_the_one_whose_scores_are_meant(
    flattened: Manifest, tmp_path: Path
) -> None:
    mine = copy_of_miniature(tmp_path / "mine")
    run_stage(flattened, tag.STAGE, options(), quiet)
    run_stage(flattened, tag.STAGE, options(model=str(mine)), quiet)
    assert flattened.decisions("tagger")["."].value[0].startswith("mine@")
    run_stage(flattened, tag.STAGE, options(), quiet)
    assert flattened.decisions("tagger")["."].value[0].startswith("miniature@")
    assert all(tagger.provider for tagger in flattened.taggers().values())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"device": "gpu"}, "device is 'gpu'"),
        ({"batch_size": -1}, "batch_size is -1"),
        ({"threads": 999}, "threads is 999"),
        ({"decoders": -1}, "decoders is -1"),
    ],
)
def test_options_out_of_range_are_refused(given: dict[str, object], words: str) -> None:
    with pytest.raises(PrepError, match=words):
        options(**given)


def test_an_unknown_model_is_an_error_with_what_to_type(flattened: Manifest, command: Callable[..., Result]) -> None:
    found = command("tag", flattened.root, "--model", "wd-swinv2-tagger-v3", "--dry-run")
    assert found.exit_code == 1
    assert "no tagger called 'wd-swinv2-tagger-v3', and no folder of that name" in found.stderr
    assert "did you mean wd-swinv2-v3, wd-swinv2-v2 or" in found.stderr


def test_several_taggers_score_one_after_the_other_and_stay_apart(
    flattened: Manifest, tmp_path: Path, decoded: list[Path]
) -> None:
    mine = copy_of_miniature(tmp_path / "mine")
    (mine / "model.toml").write_text("pad = [0, 0, 0]\n", encoding="utf-8")
    outcome = run_stage(flattened, tag.STAGE, options(also=(str(mine),)), quiet)
    assert outcome.counts == {
        "to_score:miniature": 5,
        "scored_before_by:miniature": 0,
        "to_score:mine": 5,
        "scored_before_by:mine": 0,
        "scored_by:miniature on CPU": 5,
        "scored_by:mine on CPU": 5,
    }
    assert len(decoded) == 10
    chosen = flattened.decisions("tagger")["."]
    assert chosen.value == list(flattened.taggers()) and len(chosen.value) == 2
    assert chosen.value[0].startswith("miniature@") and chosen.value[1].startswith("mine@")
    first, second = (flattened.scores(identity) for identity in chosen.value)
    assert first.keys() == second.keys() and len(first) == 5
    assert figures(chosen).startswith("miniature: sha256 ") and "; mine: sha256 " in figures(chosen)
    run_stage(flattened, tag.STAGE, options(), quiet)
    assert flattened.decisions("tagger")["."].value == chosen.value[:1]


def test_a_tagger_named_twice_is_refused(flattened: Manifest) -> None:
    with pytest.raises(PrepError, match="the tagger miniature is named 2 times"):
        preview_stage(flattened, tag.STAGE, options(also=("miniature",)), quiet)


def test_an_image_that_one_tagger_could_not_read_is_not_decoded_for_the_next(
    flattened: Manifest, source: Path, tmp_path: Path, decoded: list[Path]
) -> None:
    whole = (source / "artists/alder/x.png").read_bytes()
    (source / "artists/alder/cut.png").write_bytes(whole[: len(whole) // 2])
    run_flatten(flattened, source)
    mine = copy_of_miniature(tmp_path / "mine")
    outcome = run_stage(flattened, tag.STAGE, options(also=(str(mine),)), quiet)
    assert outcome.counts["unreadable_images"] == 1
    assert [path.name for path in decoded].count("cut.png") == 1


def test_the_checksum_of_the_model_is_kept_with_the_decision(flattened: Manifest) -> None:
    import hashlib

    from taggers.registry import BUILT_IN

    folder = BUILT_IN["miniature"].folder
    assert folder is not None
    expected = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    run_stage(flattened, tag.STAGE, options(), quiet)
    assert figures(flattened.decisions("tagger")["."]) == f"miniature: sha256 {expected}"
    plan = preview_stage(flattened, tag.STAGE, tag.Options(), quiet)
    assert figures(plan.decisions[0]) == f"wd-swinv2-v3: sha256 {BUILT_IN['wd-swinv2-v3'].checksums['model.onnx']}"


def test_what_a_branch_was_resolved_to_stays_for_the_set(flattened: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    commit, later, last = "1" * 40, "2" * 40, "3" * 40

    class Info:
        sha = later

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda self, repo, revision: Info)
    fresh = preview_stage(flattened, tag.STAGE, options(model="deepdanbooru"), quiet)
    assert fresh.decisions[0].value == [f"deepdanbooru@{later}/pad-000000-bicubic-512-bicubic-1"]
    with flattened.transaction():
        flattened.put_rows(flattened.begin_run("tag", {}), fresh.decisions)
    Info.sha = last
    planned = preview_stage(flattened, tag.STAGE, options(model="deepdanbooru"), quiet)
    assert planned.decisions == fresh.decisions, "the work that follows a plan fetches what was planned"
    with flattened.transaction():
        flattened.put_tagger(Tagger("deepdanbooru", commit, "pad-000000-bicubic-512-bicubic-1", "CPU", {}))
    again = preview_stage(flattened, tag.STAGE, options(model="deepdanbooru"), quiet)
    assert again.decisions[0].value[0].startswith(f"deepdanbooru@{commit}/")
    moved = preview_stage(flattened, tag.STAGE, options(model="deepdanbooru@main"), quiet)
    assert moved.decisions[0].value[0].startswith(f"deepdanbooru@{last}/")


def test_fast_scores_are_kept_apart_and_how_far_they_are_off_is_reported(
    flattened: Manifest, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for seed in range(3):
        save_jpeg(source / f"artists/alder/large {seed}.jpg", seed, (1200, 900))
    save_jpeg(source / "artists/alder/small.jpg", 7, (90, 60))
    run_flatten(flattened, source)
    run_stage(flattened, tag.STAGE, options(), quiet)
    with caplog.at_level(logging.WARNING):
        outcome = run_stage(flattened, tag.STAGE, options(decode="fast"), quiet)
    exact, fast = flattened.taggers()
    assert fast == f"{exact}-draft2"
    assert outcome.counts["scored_on:CPU"] == 9
    assert outcome.counts["changed_by_fast_decoding:3"] >= 0
    (reported,) = (record.getMessage() for record in caplog.records)
    assert reported.startswith("--decode fast: 3 JPEGs scored both ways differ by at most 0.")
    one, other = flattened.scores(exact), flattened.scores(fast)
    large = {image.content for image in flattened.images() if "large" in image.path}
    assert all(one[content] == other[content] for content in one.keys() - large), "only large JPEGs are reduced"
    largest = max(
        abs(one[content].get(name, 0) - other[content].get(name, 0))
        for content in large
        for name in one[content].keys() | other[content].keys()
    )
    assert f"at most {largest:.4f};" in reported, "the three are all that fast decoding changes"


def test_without_a_large_jpeg_fast_decoding_says_that_it_changes_nothing(
    flattened: Manifest, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        run_stage(flattened, tag.STAGE, options(decode="fast"), quiet)
    assert "--decode fast changes nothing here: no JPEG is large enough" in caplog.text


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_jpeg_is_decoded_at_a_reduced_size_but_never_below_the_least(tmp_path: Path, orientation: int) -> None:
    file = tmp_path / "a.jpg"
    save_jpeg(file, 0, (1600, 1200), orientation)
    asked: list[tuple[int, int]] = []

    def least(size: tuple[int, int]) -> tuple[int, int]:
        asked.append(size)
        return 300, 225

    downscaled, whole = tag.load_reduced(file, least), image_io.load_rgb(file)
    assert asked == [(1600, 1200)]
    assert downscaled.size == ((400, 300) if orientation != 6 else (300, 400)) and not downscaled.info
    difference = np.asarray(whole.resize(downscaled.size, Pillow.Resampling.BOX), float) - np.asarray(downscaled, float)
    assert np.sqrt((difference**2).mean()) < 3, "the same image, turned the same way"
    assert tag.load_reduced(file, lambda size: size).size == whole.size
    png = tmp_path / "a.png"
    whole.save(png)
    assert tag.load_reduced(png, least).size == whole.size


def test_warnings_of_a_tagger_reach_the_person(
    flattened: Manifest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("taggers.engine.suspicion", lambda values, spec: f"{spec.name} looks 100% odd")
    with caplog.at_level(logging.WARNING):
        run_stage(flattened, tag.STAGE, options(), quiet)
    assert [record.getMessage() for record in caplog.records] == ["miniature looks 100% odd"]
