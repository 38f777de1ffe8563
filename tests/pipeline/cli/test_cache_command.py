"""`prep cache`: what lies there, what is used, what is damaged, and what --trim takes away."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from decided import decided
from PIL import Image as Pixels

from pipeline.cli.commands.cache import command, used_latents
from pipeline.core.errors import PrepError
from pipeline.core.files import file_digest
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.check import CheckReason
from pipeline.store.records import Decision, Image
from pipeline.store.values.bucket import Bucket
from pipeline.store.values.repeats import Repeats
from train.data.dataset import examples
from train.data.latent_cache import LatentCache
from train.data.latent_files import (
    VAES,
    file_bytes,
    latent_file,
    latent_name,
    lying,
    note_vae,
    read_latent,
    write_latent,
)
from train.models.load import load_base
from train.options.recipe import Recipe, make_recipe

VAE = "digest of the VAE"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A set of three images, to be trained on the miniature, with a latent for each."""
    root = tmp_path / "set"
    with Manifest.open(root, create=True) as manifest:
        images, rows = [], []
        for number in range(3):
            path = f"images/Lumi/[{number}].png"
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            Pixels.fromarray(np.full((16, 16, 3), 50 * number, np.uint8)).save(file)
            images.append(Image(path, "Lumi", path, file_digest(file), file.stat().st_size, "copy"))
            bucket = Bucket((16, 16), (16, 16), (0, 0, 16, 16))
            rows += [
                decided(path, "bucket", bucket),
                decided(path, "caption", "1girl"),
                decided(path, "repeats", Repeats(1.0, 1)),
            ]
        with manifest.transaction():
            run = manifest.begin_run("test", {})
            manifest.put_images(images)
            manifest.put_decisions(run, ("bucket", "caption", "repeats"), rows)
            manifest.finish_run(run, {})
        (root / "prep.toml").write_text('[train]\nbase = "miniature"\n', encoding="utf-8")
        for name in names(manifest, make_recipe(base="miniature")):
            write(root, name)
        note_vae(root / "cache" / "latents", VAE, "miniature")
    return root


def names(manifest: Manifest, recipe: Recipe) -> set[str]:
    return {latent_name(image, VAE) for each in examples(manifest, recipe.dataset) for image in each.images()}


def write(root: Path, name: str) -> Path:
    file = latent_file(root / "cache" / "latents", name)
    write_latent(file, np.ones((4, 4, 4), np.float32), np.ones((4, 4, 4), np.float32))
    return file


def cache(root: Path, *flags: str) -> dict:
    result = CliRunner().invoke(command, [str(root), "--json", *flags], catch_exceptions=False)
    return json.loads(result.stdout)


def test_what_lies_there_is_reported_by_kind_with_counts_and_bytes(root):
    (root / "cache" / "archives" / "x").mkdir(parents=True)
    (root / "cache" / "archives" / "x" / "a.png").write_bytes(b"12345")
    found = cache(root)
    assert [(row["kind"], row["files"], row["bytes"]) for row in found["kinds"]] == [
        ("archives", 1, 5),
        ("latents", 4, 3 * file_bytes((4, 4, 4)) + (root / "cache/latents" / VAES).stat().st_size),
    ]
    assert found["latents"] == {
        "files": 3,
        "bytes": 3 * file_bytes((4, 4, 4)),
        "unused_files": 0,
        "unused_bytes": 0,
        "unknown": "",
    }


def test_a_set_without_a_cache_has_none(root):
    import shutil

    shutil.rmtree(root / "cache")
    found = cache(root, "--verify")
    assert found["kinds"] == [] and found["latents"]["files"] == 0 and found["damaged"] == []
    result = CliRunner().invoke(command, [str(root)])
    assert result.exit_code == 0 and "the cache is empty" in result.stderr


def test_trim_takes_what_no_image_uses_and_leaves_all_else(root):
    old = write(root, "ab" + "0" * 62)
    note = root / "cache" / "latents" / "read me.txt"
    note.write_text("mine")
    before = lying(root / "cache" / "latents")
    assert cache(root)["latents"]["unused_files"] == 1 and old.exists(), "looking takes nothing away"
    found = cache(root, "--trim")
    assert found["removed"] == {"files": 1, "bytes": file_bytes((4, 4, 4))}
    assert lying(root / "cache" / "latents").keys() == before.keys() - {old.name.split(".")[0]} and note.exists()
    found = cache(root, "--trim")
    assert found["removed"]["files"] == 0
    assert [words for words in found["warnings"] if "not made by prep" in words] == [
        f"1 files there were not made by prep and are left alone, such as {note}"
    ]


def test_an_image_that_is_left_out_uses_its_latent_no_more_and_a_view_that_is_asked_for_does(root):
    with Manifest.open(root) as manifest:
        mirrored = names(manifest, make_recipe(base="miniature", flip=True))
        with manifest.transaction():
            run = manifest.begin_run("check", {})
            manifest.put_rows(run, [Decision("images/Lumi/[1].png", "keep", False, CheckReason.BLURRY)])
    for name in mirrored:
        write(root, name)
    assert cache(root)["latents"]["unused_files"] == 4, "three mirrored ones and that of the image"
    (root / "prep.toml").write_text('[train]\nbase = "miniature"\nflip = true\n', encoding="utf-8")
    assert cache(root)["latents"]["unused_files"] == 2, "both of the image"


def test_what_a_run_used_stays_until_the_run_is_undone(root):
    with Manifest.open(root) as manifest:
        for name in names(manifest, make_recipe(base="miniature", flip=True)):
            write(root, name)
        with manifest.transaction():
            run = manifest.begin_run("train", {"base": "miniature", "flip": True})
            manifest.begin_run("train", {"option of another version": 1})
    found = cache(root)
    assert found["latents"]["unused_files"] == 0 and "another version of prep" in found["warnings"][0]
    with Manifest.open(root) as manifest, manifest.transaction():
        manifest.mark_undone(run, 99)
    assert cache(root)["latents"]["unused_files"] == 3


@pytest.mark.parametrize("note", [None, "{", "[]", '{"x": 1}'])
def test_where_what_is_used_cannot_be_known_nothing_is_called_unused_or_taken_away(root, note):
    (root / "cache/latents" / VAES).unlink()
    if note:
        (root / "cache/latents" / VAES).write_text(note)
    found = cache(root)
    assert found["latents"]["unused_files"] is None and "which VAEs" in found["latents"]["unknown"]
    with pytest.raises(PrepError, match="cannot tell which latents are in use"):
        CliRunner().invoke(command, [str(root), "--trim"], catch_exceptions=False)
    assert len(lying(root / "cache" / "latents")) == 3


def test_latents_of_a_base_model_that_nothing_trains_on_are_unused(root):
    (root / "prep.toml").write_text('[train]\nbase = "stable-diffusion-v1-5/stable-diffusion-v1-5"\n', encoding="utf-8")
    assert cache(root)["latents"]["unused_files"] == 3
    note_vae(root / "cache" / "latents", VAE, "stable-diffusion-v1-5/stable-diffusion-v1-5")
    assert cache(root)["latents"]["unused_files"] == 0, "two base models with one VAE"


def test_verify_names_damaged_latents_and_leaves_them(root):
    file = next((root / "cache" / "latents").rglob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    assert cache(root, "--verify")["damaged"] == [{"file": str(file), "why": "it does not fit its checksum"}]
    result = CliRunner().invoke(command, [str(root), "--verify"])
    assert "1 latents are damaged" in result.stderr and file.exists()


def test_names_of_files_are_never_read_as_markup(root):
    result = CliRunner().invoke(command, [str(root)])
    assert result.exit_code == 0 and "latents" in result.stdout


def test_a_set_that_is_not_prepared_says_what_is_missing(tmp_path):
    with Manifest.open(tmp_path / "set", create=True) as manifest:
        use = used_latents(manifest)
    assert use.names is None and use.why


def test_latents_of_other_pixels_are_found_and_removed(root):
    base = load_base("miniature", device="cpu")
    with Manifest.open(root) as manifest:
        latents = LatentCache(root / "cache" / "latents", base)
        images = [each.image for each in examples(manifest, make_recipe(base="miniature").dataset)]
        latents.fill(images, lambda *_: None)
    poisoned = latents.file(images[1])
    mean, std = read_latent(poisoned)
    write_latent(poisoned, -mean, std)
    (row,) = cache(root, "--compare")["of_other_pixels"]
    assert (row["file"], row["image"]) == (str(poisoned), str(images[1].file)) and row["off"] > 0.25
    assert poisoned.is_file(), "looking removes nothing"
    said = CliRunner().invoke(command, [str(root), "--compare", "--trim"], catch_exceptions=False)
    assert "1 latents are of other pixels; they are removed" in " ".join(said.stderr.split())
    assert not poisoned.is_file() and latents.file(images[0]).is_file()
    assert cache(root, "--compare")["of_other_pixels"] == []
