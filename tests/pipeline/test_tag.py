from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from painted_sets import painted, quiet, run_flatten, save

from pipeline import images
from pipeline.errors import PrepError
from pipeline.manifest import Manifest
from pipeline.records import Image
from pipeline.stage import preview_stage, run_stage
from pipeline.stages import tag


def options(**given: object) -> tag.Options:
    return tag.Options(**{"model": "miniature", "device": "cpu", **given})  # type: ignore[arg-type]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The pictures that were decoded since."""
    seen: list[Path] = []

    def load(path: Path) -> object:
        seen.append(path)
        return images.load_rgb(path)

    monkeypatch.setattr(tag, "load_rgb", load)
    return seen


def test_every_kept_content_is_scored_once_and_the_tagger_is_recorded(flattened: Manifest, source: Path) -> None:
    save(painted(0, 1.5), source / "characters/Quill/same as Lumi's.png")
    run_flatten(flattened, source)
    outcome = run_stage(flattened, tag, options(), quiet)
    assert outcome.counts == {"to score with miniature": 5, "scored before": 0, "scored on CPU": 5}
    (tagger,) = flattened.taggers().values()
    assert (tagger.name, tagger.provider) == ("miniature", "CPUExecutionProvider")
    assert tagger.id.endswith("/pad-ffffff-bicubic-1")
    assert tagger.categories["white hair"] == "general" and tagger.categories["mira (miniature)"] == "character"
    scores = flattened.scores(tagger.id)
    assert scores.keys() == {image.content for image in flattened.images()}
    assert all(0.01 <= score <= 1 for found in scores.values() for score in found.values())


def test_the_painted_character_is_seen(flattened: Manifest) -> None:
    run_stage(flattened, tag, options(), quiet)
    (identity,) = flattened.taggers()
    content = next(image.content for image in flattened.images() if image.path.endswith("Lumi/a.png"))
    found = flattened.scores(identity)[content]
    assert found["1girl"] > 0.5 or found["2girls"] > 0.5


def test_a_second_run_is_fresh_and_a_forced_one_decodes_nothing(flattened: Manifest, decoded: list[Path]) -> None:
    run_stage(flattened, tag, options(), quiet)
    assert len(decoded) == 5
    assert run_stage(flattened, tag, options(), quiet).fresh
    outcome = run_stage(flattened, tag, options(), quiet, force=True)
    assert outcome.counts == {"to score with miniature": 0, "scored before": 5} and len(decoded) == 5


def test_only_a_new_picture_is_decoded(flattened: Manifest, source: Path, decoded: list[Path]) -> None:
    run_stage(flattened, tag, options(), quiet)
    decoded.clear()
    save(painted(9, 1.5), source / "characters/Quill/new.png")
    run_flatten(flattened, source)
    run_stage(flattened, tag, options(), quiet)
    assert [path.name for path in decoded] == ["new.png"]


def test_a_killed_run_loses_one_batch(flattened: Manifest, decoded: list[Path]) -> None:
    def die(what: str, done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(flattened, tag, options(batch_size=2), die)
    (identity,) = flattened.taggers()
    assert len(flattened.scored(identity)) == 4
    outcome = run_stage(flattened, tag, options(batch_size=2), quiet)
    assert not outcome.fresh and outcome.counts["scored on CPU"] == 1
    assert len(flattened.scored(identity)) == 5


def test_a_preview_counts_and_runs_no_model(
    flattened: Manifest, monkeypatch: pytest.MonkeyPatch, decoded: list[Path]
) -> None:
    monkeypatch.setattr("taggers.engine.load_tagger", lambda *given: pytest.fail("a preview needs no model"))
    plan = preview_stage(flattened, tag, options(), quiet)
    assert [(row.path, row.field) for row in plan.decisions] == [(".", "tagger")]
    assert plan.counts == {"to score with miniature": 5, "scored before": 0}
    away = preview_stage(flattened, tag, tag.Options(), quiet)
    assert away.counts == {"to score with wd-swinv2-v3": 5, "scored before": 0}, "nothing is fetched either"
    assert decoded == [] and flattened.taggers() == {}


def test_pictures_that_were_not_kept_are_not_scored(flattened: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    first = flattened.images()[0]
    kept: tuple[Image, ...] = tuple(image for image in flattened.images() if image != first)
    monkeypatch.setattr(Manifest, "kept", lambda self: kept)
    run_stage(flattened, tag, options(), quiet)
    (identity,) = flattened.taggers()
    assert first.content not in flattened.scored(identity) and len(flattened.scored(identity)) == 4


def test_an_unreadable_picture_is_counted_and_named_and_the_rest_is_scored(
    flattened: Manifest, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = (source / "artists/alder/x.png").read_bytes()
    (source / "artists/alder/cut.png").write_bytes(whole[: len(whole) // 2])
    run_flatten(flattened, source)
    with caplog.at_level(logging.WARNING):
        outcome = run_stage(flattened, tag, options(), quiet)
    assert outcome.counts["could not be read"] == 1 and outcome.counts["scored on CPU"] == 5
    assert "cut.png: truncated" in caplog.text


def test_going_back_to_another_model_makes_it_the_one_whose_scores_are_meant(
    flattened: Manifest, tmp_path: Path
) -> None:
    import shutil

    from taggers.spec import BUILT_IN

    folder = BUILT_IN["miniature"].folder
    assert folder is not None
    shutil.copytree(folder, tmp_path / "mine")
    run_stage(flattened, tag, options(), quiet)
    run_stage(flattened, tag, options(model=str(tmp_path / "mine")), quiet)
    assert flattened.decisions("tagger")["."].value.startswith("mine@")
    run_stage(flattened, tag, options(), quiet)
    assert flattened.decisions("tagger")["."].value.startswith("miniature@")
    assert all(tagger.provider for tagger in flattened.taggers().values())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"device": "gpu"}, "device is 'gpu'"),
        ({"batch_size": -1}, "batch_size is -1"),
        ({"threads": 999}, "threads is 999"),
    ],
)
def test_options_out_of_range_are_refused(given: dict[str, object], words: str) -> None:
    with pytest.raises(PrepError, match=words):
        options(**given)


def test_an_unknown_model_is_an_error_with_what_to_type(flattened: Manifest, command: Callable[..., Result]) -> None:
    found = command("tag", flattened.root, "--model", "wd-swinv2-tagger-v3", "--dry-run")
    assert found.exit_code == 1
    assert "no tagger called 'wd-swinv2-tagger-v3', and no folder of that name" in found.stderr
    assert "did you mean wd-swinv2-v3?" in found.stderr
