"""What was exported is flattened again to the same set: concepts, contents, names, captions and repeats."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from export_sets import change, export, noise
from painted_sets import run_flatten

from pipeline.store.caption_files import captions
from pipeline.store.manifest import Manifest
from pipeline.store.values.repeats import Repeats

IMAGES = {
    "characters/fanart/Mihari/a.png": 24.6,
    "characters/fanart/Mihari/b [v2] (final).png": 24.6,
    "characters/Mihari/a.png": 2.5,
    "characters/x~y 100%/😀.png": 1.0,
    "characters/%7E/[bold] name.png": 3.25,
    "characters/24_years/a.png": 7.0,
    "characters/v1.5/shot 1.2.png": 1.5,
    "characters/directly.png": 2.0,
    "artists/a.png": 0.5,
    "artists/test/ﾐﾊﾘ.png": 1.1,
    "artists/Émile & co/a'b;c.png": 57.03125,
}
"""Images of a source tree and how often each is shown; names hold what layouts use for signs of their own."""


@pytest.fixture
def manifest(tmp_path):
    """A set of these images, each with a caption."""
    for seed, name in enumerate(IMAGES):
        file = tmp_path / "source" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        noise(seed).save(file)
        file.with_name(file.stem + ".txt").write_text(f"girl, {name}, ünïcode", encoding="utf-8")
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, tmp_path / "source", repeats_in_names=False)
    shown = {str(tmp_path / "source" / name): number for name, number in IMAGES.items()}
    for image in manifest.images():
        exact = shown[image.source]
        change(manifest, image.path, "repeats", Repeats(exact, max(1, int(exact))))
    return manifest


def facts(manifest: Manifest, repeats: dict[str, float]) -> dict[tuple[str, str], tuple[str, str, float]]:
    """(concept, name) → (content, caption, repeats)."""
    texts = captions(manifest)
    return {
        (image.concept, PurePosixPath(image.path).name): (image.content, texts[image.path], repeats[image.path])
        for image in manifest.images()
    }


def read_back(folder: Path, *sources: Path) -> Manifest:
    again = Manifest.open(folder, create=True)
    run_flatten(again, *sources)
    return again


@pytest.mark.parametrize("layout", ("kohya", "everydream", "imagefolder", "webdataset"))
def test_an_export_is_read_back_as_the_same_set(manifest, tmp_path, layout):
    out = tmp_path / "out"
    planned = export(manifest, out, layout, shard_bytes=20_000)
    sources = {"kohya": [out / "train"], "webdataset": sorted(out.glob("*.tar"))}.get(layout, [out])
    again = read_back(tmp_path / "again", *sources)
    part = "exported" if layout == "kohya" else "exact"
    decided = {path: float(getattr(row.value, part)) for path, row in manifest.decisions("repeats").items()}
    given = {path: row.value for path, row in again.decisions("user_repeats").items()}
    assert facts(again, given) == facts(manifest, decided)
    assert set(again.manual_captions()) == {image.path for image in again.images()}, "captions come back as a person's"
    assert layout != "webdataset" or len(planned.layout.files) > 1


def test_different_repeats_within_one_concept_are_read_back_too(manifest, tmp_path):
    path = next(image.path for image in manifest.images() if image.path.endswith("b [v2] (final).png"))
    change(manifest, path, "repeats", Repeats(3.5, 3))
    decided = {path: row.value for path, row in manifest.decisions("repeats").items()}
    for layout, part, below in (("kohya", "exported", "train"), ("everydream", "exact", "")):
        export(manifest, tmp_path / layout, layout)
        again = read_back(tmp_path / f"again-{layout}", tmp_path / layout / below)
        given = {path: row.value for path, row in again.decisions("user_repeats").items()}
        assert facts(again, given) == facts(
            manifest, {path: float(getattr(value, part)) for path, value in decided.items()}
        )
