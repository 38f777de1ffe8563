"""A curated set of two characters, for the tests of questions and edits."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pipeline.store.caption_files import captions
from pipeline.store.manifest import Manifest
from pipeline.store.records import Image, Tagger
from pipeline.store.wording import phrase

LABELS = ("1girl", "solo", "smile", "grin", "hat", "witch hat", "boots", "long hair", "<o>_<o>", "wariza")


TAGGER = Tagger("t", "1", "p", "CPU", {**dict.fromkeys(LABELS, "general"), "general": "rating"})


ONE = {"1girl": 0.99, "solo": 0.98, "general": 0.9}


IMAGES: dict[str, dict[str, float] | None] = {
    "people/Lumi/a": {**ONE, "smile": 0.9, "hat": 0.8, "witch hat": 0.9, "<o>_<o>": 0.7},
    "people/Lumi/b": {**ONE, "smile": 0.8, "grin": 0.2, "wariza": 0.04},
    "people/Lumi/c": {**ONE, "boots": 0.9},
    "people/Quill/a": {**ONE, "smile": 0.6},
    "people/Quill/written": {**ONE, "boots": 0.9},
}


WRITTEN = "\ufeffquill,  Smile ,a red Hat, long_hair\r\n"


def put_set(root: Path, imgs: dict[str, dict[str, float] | None]) -> Manifest:
    manifest = Manifest.open(root, create=True)
    with manifest.transaction():
        images = [(image_of(path), scores) for path, scores in imgs.items()]
        manifest.put_images(image for image, _ in images)
        manifest.put_tagger(TAGGER)
        manifest.put_scores(TAGGER.id, {image.content: scores for image, scores in images if scores is not None})
    for image, _ in images:
        (root / image.path).parent.mkdir(parents=True, exist_ok=True)
    return manifest


def image_of(path: str) -> Image:
    concept, _, name = path.rpartition("/")
    content = hashlib.sha256(path.encode()).hexdigest()
    return Image(f"images/{concept.replace('/', '~')}/{name}.png", concept, f"/src/{path}", content, 1, "copy")


def text_file(manifest: Manifest, path: str) -> Path:
    return (manifest.root / image_of(path).path).with_suffix(".txt")


def caption(manifest: Manifest, path: str) -> str:
    """The caption that holds, which is also what stands beside the image."""
    text = captions(manifest)[image_of(path).path]
    assert text_file(manifest, path).read_bytes().decode().removeprefix("\ufeff").strip() == text
    return text


def rows(manifest: Manifest, path: str) -> dict[str, tuple[str, str]]:
    return {row.tag: (row.action, phrase(row)) for row in manifest.decisions("tags")[image_of(path).path].value}
